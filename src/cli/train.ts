/** `unilab train STAGE`: trains a mini checkpoint; progress on stderr, checkpoints as it goes, resumes where it stopped. */
import { parseArgs } from 'node:util';
import { type Command, UsageError } from './command';
import { sayCompilations } from './compilations';
import { runTraining } from '../miniworld/curricula/run-stage';
import { STAGES } from '../miniworld/curricula/stages';

export const command: Command = {
  summary: 'train a mini checkpoint (tokenizer, showo, scorers), with resume',
  usage: `unilab train sync-grpo|corl|mm-r1|paradigms [OPTIONS]      (unilab train corl --help)
       unilab train STAGE [--steps N] [--seed N] [--out FOLDER] [--checkpoints FOLDER] [--checkpoint-every N]
                   [--fallback]

STAGE is one of: ${Object.keys(STAGES).join(', ')}.
  --steps N             optimiser steps (default: the recipe's)
  --seed N              default: the recipe's
  --out FOLDER          where the finished weights go (default: data/checkpoints/...)
  --checkpoints FOLDER  where the resumable state is kept (default: out/train/STAGE)
  --checkpoint-every N  steps between checkpoints (default 200)
  --fallback            go on from the newest whole checkpoint when the newest one is broken
Ctrl-C saves the state and stops; the same command goes on from there.`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        steps: { type: 'string' },
        seed: { type: 'string' },
        out: { type: 'string' },
        checkpoints: { type: 'string' },
        'checkpoint-every': { type: 'string' },
        fallback: { type: 'boolean', default: false },
      },
    });
    const [stage, ...rest] = positionals;
    if (!stage || rest.length > 0 || !(stage in STAGES))
      throw new UsageError(`say which stage: ${Object.keys(STAGES).join(', ')}`);
    const integer = (name: 'steps' | 'seed' | 'checkpoint-every'): number | undefined => {
      const given = values[name];
      if (given === undefined) return undefined;
      const value = Number(given);
      if (!Number.isInteger(value) || (name !== 'seed' && value < 1))
        throw new UsageError(`--${name} needs a whole number, got '${given}'`);
      return value;
    };
    sayCompilations();
    return runTraining(stage, {
      steps: integer('steps'),
      seed: integer('seed'),
      out: values.out,
      checkpoints: values.checkpoints,
      checkpointEvery: integer('checkpoint-every'),
      fallback: values.fallback,
    });
  },
};
