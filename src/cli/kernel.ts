/** `unilab kernel`: the notebook kernel and its entry among Jupyter's kernels. */
import { parseArgs } from 'node:util';
import { type Command, UsageError } from './command';
import { installedSpec, installSpec, specFolder, uninstallSpec } from '../../kernel-ext/process/kernelspec';

const usage = `unilab kernel install|uninstall|status|start

  install [--user | --prefix DIR]    makes the kernel known to Jupyter (default --user); no Python is needed
  uninstall [--user | --prefix DIR]  takes it away again
  status [--prefix DIR] [--json]     says whether it is installed, and where
  start CONNECTION_FILE              runs the kernel; Jupyter calls this`;

export const command: Command = {
  summary: 'installs the notebook kernel, or runs it',
  usage,
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { user: { type: 'boolean' }, prefix: { type: 'string' }, json: { type: 'boolean' } },
    });
    const [action, file, ...more] = positionals;
    if (values.user && values.prefix !== undefined) throw new UsageError('--user and --prefix exclude each other');
    if (more.length || (file !== undefined && action !== 'start'))
      throw new UsageError(`too many arguments: ${[file, ...more].join(' ')}`);
    switch (action) {
      case 'install':
        console.log(`The kernel 'unilab' is installed in ${await installSpec(values.prefix)}`);
        return 0;
      case 'uninstall': {
        const gone = uninstallSpec(values.prefix);
        console.log(
          gone
            ? `The kernel 'unilab' was removed from ${specFolder(values.prefix)}`
            : `No kernel 'unilab' in ${specFolder(values.prefix)}`,
        );
        return 0;
      }
      case 'status': {
        const spec = installedSpec(values.prefix);
        const folder = specFolder(values.prefix);
        if (values.json) console.log(JSON.stringify({ installed: spec !== undefined, folder, argv: spec?.argv }));
        else
          console.log(
            spec
              ? `The kernel 'unilab' is installed in ${folder}`
              : `The kernel 'unilab' is not installed in ${folder}; 'unilab kernel install' does it`,
          );
        return spec ? 0 : 1;
      }
      case 'start': {
        if (file === undefined) throw new UsageError('start needs the connection file');
        // Loaded here only: the compiler behind it is large.
        const { startKernel } =
          require('../../kernel-ext/process/start') as typeof import('../../kernel-ext/process/start');
        return startKernel(file);
      }
      default:
        throw new UsageError(action === undefined ? 'say what to do' : `there is no 'unilab kernel ${action}'`);
    }
  },
};
