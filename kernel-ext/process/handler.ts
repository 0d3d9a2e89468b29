/** tslab's answers about code, completed: what plain tslab leaves out of kernel_info and is_complete. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Executor } from 'tslab/dist/executor';
import type { CellRunner } from './cell-runner';
import { packageRoot } from '../compiler/package-paths';
import { JupyterHandlerImpl, typescriptVersion } from './tslab';
import { protocolVersion } from '../protocol/messages';

const { version } = JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as { version: string };

type Base = InstanceType<typeof JupyterHandlerImpl>;

export class CellHandler extends JupyterHandlerImpl {
  /** @param cells whose executor is made when tslab first asks it something */
  constructor(private readonly cells: CellRunner) {
    super(new Proxy({} as Executor, { get: (_, name) => Reflect.get(cells.executor, name) as unknown }), false);
  }

  override close(): void {
    this.cells.close();
  }

  override handleKernel(): ReturnType<Base['handleKernel']> {
    const base = super.handleKernel();
    const info = {
      ...base,
      status: 'ok',
      protocol_version: protocolVersion,
      implementation: 'unilab',
      implementation_version: version,
      language_info: {
        ...base.language_info,
        version: typescriptVersion,
        pygments_lexer: 'typescript',
        nbconvert_exporter: 'script',
      },
      banner: `UniLab ${version} · TypeScript ${typescriptVersion} · Node.js ${process.versions.node}`,
      debugger: false,
      supported_features: [],
    };
    return info;
  }

  override handleIsComplete(request: Parameters<Base['handleIsComplete']>[0]): ReturnType<Base['handleIsComplete']> {
    const { completeness } = require('../compiler/completeness') as typeof import('../compiler/completeness'); // with the compiler
    const judged = completeness(request.code);
    if (judged === 'invalid') return { status: 'invalid' };
    const answer = super.handleIsComplete(request);
    // tslab knows the indent, and that two empty lines mean "run it"; it does not know about open template strings.
    const forced = /\n\s*\n\s*$/.test(request.code);
    return judged === 'incomplete' && answer.status === 'complete' && !forced
      ? { status: 'incomplete', indent: '' }
      : answer;
  }
}
