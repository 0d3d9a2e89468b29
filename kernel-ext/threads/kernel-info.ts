/** What the kernel says of itself. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../compiler/package-paths';
import { type Json, protocolVersion } from '../protocol/messages';

function versionIn(packageFile: string): string {
  return (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
}

/** The content of a kernel_info_reply. */
export function kernelInfo(): Json {
  const version = versionIn(path.join(packageRoot, 'package.json'));
  const typescriptVersion = versionIn(require.resolve('typescript/package.json'));
  return {
    status: 'ok',
    protocol_version: protocolVersion,
    implementation: 'unilab',
    implementation_version: version,
    language_info: {
      name: 'typescript',
      version: typescriptVersion,
      mimetype: 'text/typescript',
      file_extension: '.ts',
      // JupyterLab takes `mode`, the classic notebook the rest.
      codemirror_mode: { mode: 'typescript', name: 'javascript', typescript: true },
      pygments_lexer: 'typescript',
      nbconvert_exporter: 'script',
    },
    banner: `UniLab ${version} · TypeScript ${typescriptVersion} · Node.js ${process.versions.node}`,
    debugger: true,
    supported_features: ['debugger', 'kernel subshells'],
  };
}
