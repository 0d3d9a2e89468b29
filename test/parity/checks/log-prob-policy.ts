/** Policies without a network, for fixtures of numbers: what learns are the log-probs, or the logits, themselves. */
import { AdamW, tf } from '../../../src/engine';
import type { Policy, Segment, SegmentName, Transition } from '../../../src/models/unified';

/** Some tokens of one row of a table. */
export interface TableTransition extends Transition {
  readonly row: number;
  readonly from: number;
}

/** A segment of one transition. @param logProbs recorded ones, `[tokens]` */
export function tableSegment(
  name: SegmentName,
  row: number,
  from: number,
  ids: readonly number[],
  logProbs: readonly number[],
  mask: readonly number[],
): Segment<TableTransition> {
  const transition = {
    segment: name,
    row,
    from,
    sampledIds: Int32Array.from(ids),
    logProbs: Float32Array.from(logProbs),
    actionMask: Uint8Array.from(mask),
  };
  const transitions = [transition];
  return name === 'understanding'
    ? { name, text: '', finished: true, transitions }
    : { name, codes: transition.sampledIds, grid: [1, ids.length], transitions };
}

/** Values at the transitions' tokens, `[transitions, longest]`, 0 behind their ends. @param at flat index into `values` */
function pick(
  values: tf.Tensor,
  transitions: readonly TableTransition[],
  at: (transition: TableTransition, token: number) => number,
): tf.Tensor2D {
  const longest = Math.max(...transitions.map(({ sampledIds }) => sampledIds.length));
  const indices = transitions.flatMap((t) =>
    Array.from({ length: longest }, (_, i) => (i < t.sampledIds.length ? at(t, i) : 0)),
  );
  const inside = transitions.flatMap(({ sampledIds }) =>
    Array.from({ length: longest }, (_, i) => (i < sampledIds.length ? 1 : 0)),
  );
  const flat = tf.gather(tf.reshape(values, [-1]), tf.tensor1d(indices, 'int32'));
  return tf.reshape<tf.Rank.R2>(tf.mul(flat, inside), [transitions.length, longest]);
}

/** Learns log-probs `[rows, tokens]` as they are, one table a kind of segment. */
export class LogProbPolicy implements Policy<TableTransition> {
  private readonly tables: Record<string, tf.Variable> = {};

  constructor(tables: Partial<Record<SegmentName, readonly (readonly number[])[]>>) {
    for (const [name, rows] of Object.entries(tables))
      this.tables[name] = tf.tidy(() => tf.variable(tf.tensor2d(rows.map((row) => [...row]))));
  }

  variables(): Readonly<Record<string, tf.Variable>> {
    return this.tables;
  }

  replay(transitions: readonly TableTransition[]): tf.Tensor2D {
    const values = this.tables[transitions[0].segment] ?? this.tables.understanding;
    const [, tokens] = values.shape;
    return tf.tidy(() => pick(values, transitions, ({ row, from }, i) => row * tokens + from + i));
  }

  dispose(): void {
    tf.dispose(this.tables);
  }
}

/** Learns logits `[prompts, positions, vocabulary]`; a token's probability knows its prompt and position alone. */
export class LogitTable implements Policy<TableTransition> {
  readonly logits: tf.Variable<tf.Rank.R3>;

  constructor(values: readonly (readonly (readonly number[])[])[]) {
    this.logits = tf.tidy(() => tf.variable(tf.tensor3d(values as number[][][])));
  }

  variables(): Readonly<Record<string, tf.Variable>> {
    return { table: this.logits };
  }

  replay(transitions: readonly TableTransition[]): tf.Tensor2D {
    const [, positions, vocabulary] = this.logits.shape;
    return tf.tidy(() =>
      pick(
        tf.logSoftmax(this.logits),
        transitions,
        ({ row, from, sampledIds }, i) => (row * positions + from + i) * vocabulary + sampledIds[i],
      ),
    );
  }

  entropies(transitions: readonly TableTransition[]): tf.Tensor2D {
    const [, positions] = this.logits.shape;
    return tf.tidy(() => {
      const logProbs = tf.logSoftmax(this.logits);
      const entropies = tf.neg(tf.sum(tf.mul(tf.exp(logProbs), logProbs), -1));
      return pick(entropies, transitions, ({ row, from }, i) => row * positions + from + i);
    });
  }

  dispose(): void {
    this.logits.dispose();
  }
}

/** Takes no step and remembers the gradients. */
export class GradientRecorder extends AdamW {
  readonly gradients: Record<string, Float32Array> = {};

  constructor() {
    super({ learningRate: 0 });
  }

  override apply(_variables: Record<string, tf.Variable>, grads: Record<string, tf.Tensor>): void {
    for (const [name, grad] of Object.entries(grads)) this.gradients[name] = grad.dataSync<'float32'>().slice();
  }
}
