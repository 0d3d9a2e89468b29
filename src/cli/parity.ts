/** `unilab parity`: our numbers beside those of the reference implementations. */
import { parseArgs } from 'node:util';
import { startEngine } from '../engine';
import { type Command, UsageError } from './command';
import { checkFolder, kinds, line } from '../../test/parity/checks';

export const command: Command = {
  summary: 'compares with reference numbers: losses, models, samplers, file formats',
  usage: [
    'unilab parity FOLDER... [--quiet]',
    '',
    'Each FOLDER holds fixtures (case.json beside tensors), or folders of them. Prints one line a case: name, quantity,',
    'largest error, tolerance, ok or FAILED; then `N passed, N failed`. Exit status 1 when any failed or none was found.',
    '',
    '  --quiet   only lines that failed, and the last',
    '',
    `Kinds of fixtures: ${kinds.join(', ')}.`,
  ].join('\n'),
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { quiet: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    if (positionals.length === 0) throw new UsageError('which folder? Give one or more.');
    await startEngine({ precision: 'float32' });
    let passed = 0;
    let failed = 0;
    for (const folder of positionals) {
      for await (const check of checkFolder(folder)) {
        if (check.ok) passed++;
        else failed++;
        if (!check.ok || !values.quiet) console.log(line(check));
      }
    }
    console.log(`${passed} passed, ${failed} failed`);
    return failed > 0 || passed === 0 ? 1 : 0;
  },
};
