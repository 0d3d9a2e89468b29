/** The `unilab` command: finds the subcommand's file and turns errors into lines for people. */
import { type Command, UsageError } from './command';

type Load = () => { command: Command };

/** `unilab train RECIPE`: recipes have options of their own. */
const recipes: Readonly<Record<string, Load>> = {
  'sync-grpo': () => require('./train-sync-grpo') as { command: Command },
  'mm-r1': () => require('./train-mm-r1') as { command: Command },
  corl: () => require('./train-corl') as { command: Command },
  paradigms: () => ({ command: (require('./train-corl') as { paradigmsCommand: Command }).paradigmsCommand }),
};
const trainer = (name: string): Load =>
  Object.hasOwn(recipes, name) ? recipes[name] : () => require('./train') as { command: Command };

// Loaded only when asked for: `unilab help` need not start TensorFlow.
const commands: Record<string, (args: readonly string[]) => { command: Command }> = {
  doctor: () => require('./doctor') as { command: Command },
  data: () => require('./data') as { command: Command },
  train: ([name]) => trainer(name)(),
  merge: () => require('./merge') as { command: Command },
  eval: () => require('./eval') as { command: Command },
  run: () => require('./run') as { command: Command },
  kernel: () => require('./kernel') as { command: Command },
  parity: () => require('./parity') as { command: Command },
  bench: () => require('./bench') as { command: Command },
};

/** @param argv what stands behind `unilab` on the command line @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...args] = argv;
  if (!name || name === 'help' || name === '--help') {
    console.log('unilab COMMAND [OPTIONS]\n');
    for (const [key, load] of Object.entries(commands)) console.log(`  ${key.padEnd(8)} ${load([]).command.summary}`);
    console.log('\nunilab COMMAND --help says more.');
    return name ? 0 : 2;
  }
  const load = commands[name];
  if (!load) {
    console.error(`unilab: there is no command '${name}'. The commands: ${Object.keys(commands).join(', ')}.`);
    return 2;
  }
  const { command } = load(args);
  if (args.includes('--help')) {
    console.log(command.usage);
    return 0;
  }
  try {
    return await command.run(args);
  } catch (error) {
    const wrongCall = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    console.error(`unilab ${name}: ${error instanceof Error ? error.message : String(error)}`);
    if (process.env.UNILAB_DEBUG && error instanceof Error) console.error(error.stack);
    if (wrongCall) console.error(command.usage.split('\n')[0]);
    return wrongCall ? 2 : 1;
  }
}
