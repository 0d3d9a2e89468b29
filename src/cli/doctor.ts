/** `unilab doctor`: what this machine has, how fast it is, and what to do about what is missing. */
import { parseArgs } from 'node:util';
import { type Command, UsageError } from './command';
import { describeHealth, examine, measureHere } from './doctor/health';

const usage = `unilab doctor [--json]

Says which tensor engine runs, how fast it multiplies 2048 x 2048 matrices in float32 and in bf16, what the machine
has, whether the notebook kernel is installed, and a fix for each thing that is missing.

--json               the same as one JSON object
--measure PRECISION  only measure the engine, in this process, with float32 or bf16; prints JSON`;

export const command: Command = {
  summary: 'what this machine has, how fast it is, what is missing',
  usage,
  async run(args) {
    const options = { json: { type: 'boolean' }, measure: { type: 'string' } } as const;
    const { values } = parseArgs({ args: [...args], options });
    if (values.measure !== undefined) {
      if (values.measure !== 'float32' && values.measure !== 'bf16') {
        throw new UsageError(`--measure needs float32 or bf16, got '${values.measure}'`);
      }
      console.log(JSON.stringify(await measureHere(values.measure)));
      return 0;
    }
    const health = await examine();
    console.log(values.json ? JSON.stringify(health, null, 2) : describeHealth(health));
    return health.engine ? 0 : 1;
  },
};
