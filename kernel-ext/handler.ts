/** tslab's answers about code, completed: what plain tslab leaves out of kernel_info and is_complete. */
import type { Executor } from 'tslab/dist/executor';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { completeness } from './complete';
import { packageRoot } from './place';
import { ts } from './typescript';
import { protocolVersion } from './wire';
// After ./typescript: tslab must see the patched compiler.
import { JupyterHandlerImpl } from 'tslab/dist/jupyter';

const { version } = JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as { version: string };

type Base = JupyterHandlerImpl;

export class CellHandler extends JupyterHandlerImpl {
  constructor(executor: Executor) {
    super(executor, false);
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
        version: ts.version,
        pygments_lexer: 'typescript',
        nbconvert_exporter: 'script',
      },
      banner: `UniLab ${version} · TypeScript ${ts.version} · Node.js ${process.versions.node}`,
      debugger: false,
      supported_features: [],
    };
    return info;
  }

  override handleIsComplete(request: Parameters<Base['handleIsComplete']>[0]): ReturnType<Base['handleIsComplete']> {
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
