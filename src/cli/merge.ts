/** `unilab merge`: fine-tuned checkpoints of one base become one checkpoint, by the Gaussian rule. */
import { parseArgs } from 'node:util';
import { type MergeReport, mergeFolders } from '../eval';
import { type Command, UsageError } from './command';

export const command: Command = {
  summary: 'merge fine-tuned checkpoints onto their base by the Gaussian rule (CoRL)',
  usage: `unilab merge --base FOLDER --out FOLDER MODEL MODEL [MODEL ...] [--lambda L] [--population] [--dtype F32|BF16] [--json]

  MODEL          folders of models that were trained from the base
  --lambda L     half the interval's width in standard deviations (default 2): a change inside it is noise, and averaged;
                 one outside is what a model learned, and kept whole
  --population   standard deviation over n instead of n - 1
  --dtype        how the merged weights are stored (default F32)
  --json         the statistics of every tensor on standard output; they are in OUT/merge.json anyway`,
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        base: { type: 'string' },
        out: { type: 'string' },
        lambda: { type: 'string', default: '2' },
        population: { type: 'boolean', default: false },
        dtype: { type: 'string', default: 'F32' },
        json: { type: 'boolean', default: false },
      },
    });
    const { base, out, population, dtype, json } = values;
    if (base === undefined || out === undefined) throw new UsageError('--base and --out are needed');
    if (positionals.length < 2) throw new UsageError(`two models at least, got ${positionals.length}`);
    if (dtype !== 'F32' && dtype !== 'BF16') throw new UsageError(`--dtype is F32 or BF16, got '${dtype}'`);
    const lambda = Number(values.lambda);
    if (!(lambda > 0)) throw new UsageError(`--lambda needs a number above 0, got '${values.lambda}'`);
    const report = await mergeFolders(base, positionals, out, { lambda, population, dtype });
    if (json) console.log(JSON.stringify(report));
    else console.log(`${summaryOf(report, positionals)}\nwritten: ${out}`);
    return 0;
  },
};

function summaryOf(report: MergeReport, models: readonly string[]): string {
  const changed = Object.values(report);
  const mean = (i: number) => changed.reduce((sum, { share }) => sum + share[i], 0) / Math.max(1, changed.length);
  const lines = models.map((model, i) => `  ${model}: ${(100 * mean(i)).toFixed(2)}% of its changes kept whole`);
  return [`${changed.length} tensors merged; a tensor on average:`, ...lines].join('\n');
}
