/** The few shapes that the batches of a stage are padded to, chosen from batches like them. */
import { Rng } from '../../engine';
import { chooseSizes, fittingSizes, type Sizes } from '../../nn/buckets';
import { type PackedSizes, workOf as rowWork } from '../../nn/row-inputs';

/** Counts of each kind of rows in a batch. */
export type KindSizes<Kind extends string> = Readonly<Record<Kind, PackedSizes>>;

/** Batches that are looked at. They are drawn from a seed of their own: a stage has the same shapes with every seed. */
const SAMPLE = 24;

type Count = keyof PackedSizes;
type Name = `${string} ${Count}`;

/** Sizes of a stage; chosen when the first batch asks for them, and said then. */
export class BatchSizes<Kind extends string> {
  private chosen: readonly Sizes<Name>[] | undefined;

  /**
   * @param draw counts of one batch, without what is costly about it (codes of images, say)
   * @param log is told the sizes. Default: standard error
   */
  constructor(
    private readonly draw: (rng: Rng) => KindSizes<Kind>,
    private readonly log: (line: string) => void = console.error,
  ) {}

  /** Joint sizes that a batch fits into. */
  fitting(batch: KindSizes<Kind>): KindSizes<Kind> {
    this.chosen ??= this.choose();
    return nested(fittingSizes(flat(batch), this.chosen)) as KindSizes<Kind>;
  }

  private choose(): readonly Sizes<Name>[] {
    const rng = new Rng(0).split('sizes');
    const sample = Array.from({ length: SAMPLE }, (_, i) => flat(this.draw(rng.split(i))));
    const sizes = chooseSizes(sample, workOf);
    const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;
    const padded = mean(sample.map((batch) => workOf(fittingSizes(batch, sizes)))) / mean(sample.map(workOf)) - 1;
    this.log(`batches are padded to ${sizes.map(said).join(' or ')}: ${(100 * padded).toFixed(1)}% more work`);
    return sizes;
  }
}

/** Work of a batch in tokens of the decoder. */
export function workOf(sizes: Sizes<Name>): number {
  return Object.values(nested(sizes)).reduce((sum, kind) => sum + rowWork(kind), 0);
}

/** e.g. `images 28 x 96 (1792 scored), texts 6 x 160 (160 scored)` */
function said(sizes: Sizes<Name>): string {
  const kinds = Object.entries(nested(sizes));
  return kinds.map(([kind, { rows, length, scored }]) => `${kind} ${rows} x ${length} (${scored} scored)`).join(', ');
}

function flat(sizes: Readonly<Record<string, PackedSizes>>): Sizes<Name> {
  const counts = Object.entries(sizes).flatMap(([kind, own]) =>
    (Object.entries(own) as [Count, number][]).map(([count, n]) => [`${kind} ${count}`, n]),
  );
  return Object.fromEntries(counts) as Sizes<Name>;
}

function nested(sizes: Sizes<Name>): Record<string, PackedSizes> {
  const kinds = [...new Set(Object.keys(sizes).map((name) => name.split(' ')[0]))];
  const of = (kind: string, count: Count) => sizes[`${kind} ${count}`];
  return Object.fromEntries(
    kinds.map((kind) => [kind, { rows: of(kind, 'rows'), length: of(kind, 'length'), scored: of(kind, 'scored') }]),
  );
}
