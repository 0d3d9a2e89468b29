/** tslab's handler and displays without its compiler, which takes longer than all else at the start. */
import Module from 'node:module';

type Jupyter = typeof import('tslab/dist/jupyter');
type TslabConverter = typeof import('tslab/dist/converter');

const converterFile = require.resolve('tslab/dist/converter');

function loadConverter(): TslabConverter {
  require('../compiler/typescript'); // the converter must see the patched compiler
  return require(converterFile) as TslabConverter;
}

/** Loads tslab's server with a stand-in for the converter, which loads the real one on first use. */
function loadJupyter(): Jupyter {
  const later = new Module(converterFile);
  later.exports = { isCompleteCode: (code: string) => loadConverter().isCompleteCode(code) };
  later.loaded = true;
  require.cache[converterFile] = later;
  try {
    return require('tslab/dist/jupyter') as Jupyter;
  } finally {
    Reflect.deleteProperty(require.cache, converterFile);
  }
}

export const tslabJupyter = loadJupyter();
export const { JupyterHandlerImpl } = tslabJupyter;
