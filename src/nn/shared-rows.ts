/**
 * Rows that go on from a beginning which several of them share (a group's prompt, the steps of one image): the beginning
 * is computed once. It must not see what follows it. Everything but attention takes tokens one by one, so beginnings and
 * rests stand behind each other in one row of tokens, `[1, beginnings x shared + rows x tokens, ..]`; attention takes them
 * apart. The numbers are those of separate rows.
 */
import {
  attention,
  embedding,
  hasProjectedAttention,
  type KeysValues,
  projectedAttention,
  type ProjectedInputs,
  tf,
} from '../engine';
import { rotary, type RotaryTables } from './rotary';

/** Tokens that attend alike. */
export type Attending = {
  /** Added to attention scores, `[rows or 1, 1, tokens or 1, keys]`. */
  readonly mask: tf.Tensor4D;
  readonly tables: RotaryTables;
};

/** Beginnings whose keys and values are held, for as many passes as go on from them. Their tokens' positions are applied. */
export class Beginnings {
  private readonly layers: KeysValues[] = [];

  /** @param own of one layer, `[beginnings, heads, shared, headDim]` */
  hold(layer: number, own: KeysValues): void {
    this.layers[layer] = { keys: tf.keep(own.keys), values: tf.keep(own.values) };
  }

  /** Keys and values of one layer. */
  of(layer: number): KeysValues {
    return this.layers[layer];
  }

  /** Keys and values of each row's beginning, and behind them its own, `[rows, heads, shared + tokens, headDim]`. */
  before(layer: number, owner: tf.Tensor1D, own: KeysValues): KeysValues {
    return continued(ownedBy(this.layers[layer], owner), own);
  }

  /** Some of the beginnings, in any order and as often as one likes, as tensors of their own. */
  rows(which: readonly number[]): Beginnings {
    const picked = new Beginnings();
    const at = tf.tensor1d(Int32Array.from(which), 'int32');
    this.layers.forEach(({ keys, values }, layer) => {
      picked.layers[layer] = { keys: tf.keep(tf.gather(keys, at)), values: tf.keep(tf.gather(values, at)) };
    });
    at.dispose();
    return picked;
  }

  dispose(): void {
    for (const { keys, values } of this.layers.splice(0)) tf.dispose([keys, values]);
  }
}

/** Where beginnings and rests stand, and what they see. */
export type SharedRows = {
  /** Keys: those of the beginning. */
  readonly beginning: Attending;
  /** Keys: those of the row's beginning, then its own. */
  readonly rest: Attending;
  /** int32 `[rows]`: the beginning that each row goes on from. */
  readonly owner: tf.Tensor1D;
};

/**
 * Queries, keys and values of all tokens, before positions are applied, `[1, tokens, heads, headDim]`. Several heads of
 * queries may share one of keys and values; they stand together.
 */
export interface Projected {
  readonly q: tf.Tensor4D;
  readonly k: tf.Tensor4D;
  readonly v: tf.Tensor4D;
}

/** Tokens of either kind, as the one operation takes them. */
export function sequencesOf(rows: Attending | SharedRows): Pick<ProjectedInputs, 'rows' | 'begun'> {
  if (!('beginning' in rows)) return { rows };
  return { rows: rows.rest, begun: { ...rows.beginning, owner: rows.owner } };
}

/** `[1, beginnings x shared + rows x tokens, heads x headDim]`, in the tokens' order. */
export function attendShared({ q, k, v }: Projected, shared: SharedRows): tf.Tensor3D {
  if (!hasProjectedAttention()) return attendApart({ q, k, v }, shared);
  return tf.tidy(() => {
    const flat = (x: tf.Tensor4D) => tf.reshape<tf.Rank.R3>(x, [1, x.shape[1], -1]);
    return projectedAttention({ q: flat(q), k: flat(k), v: flat(v), ...sequencesOf(shared) }) as tf.Tensor3D;
  });
}

/** {@link attendShared} with beginnings and rests taken apart. */
function attendApart({ q, k, v }: Projected, { beginning, rest, owner }: SharedRows): tf.Tensor3D {
  return tf.tidy(() => {
    const [, all, heads, dim] = q.shape;
    const [rows] = owner.shape;
    const [shared, tokens] = [tokensOf(beginning), tokensOf(rest)];
    const first = all - rows * tokens;
    const part = (x: tf.Tensor4D, from: number, length: number) =>
      tf.transpose<tf.Tensor4D>(
        tf.reshape(tf.slice(x, [0, from, 0, 0], [1, from === 0 ? first : rows * tokens, -1, -1]), [
          -1,
          length,
          x.shape[2],
          dim,
        ]),
        [0, 2, 1, 3],
      );
    const begun = {
      keys: rotary(part(k, 0, shared), beginning.tables),
      values: part(v, 0, shared),
    };
    const own = { keys: rotary(part(k, first, tokens), rest.tables), values: part(v, first, tokens) };
    const flat = (x: tf.Tensor) => tf.reshape<tf.Rank.R3>(tf.transpose(x, [0, 2, 1, 3]), [1, -1, heads * dim]);
    const before = grouped(rotary(part(q, 0, shared), beginning.tables), begun.keys, begun.values, beginning.mask);
    const { keys, values } = continued(ownedBy(begun, owner), own);
    const after = grouped(rotary(part(q, first, tokens), rest.tables), keys, values, rest.mask);
    return tf.concat([flat(before), flat(after)], 1);
  });
}

const tokensOf = ({ tables: { cos } }: Attending): number => cos.shape[cos.rank - 2];

/** Attention whose heads of queries may be several to one of keys and values: they stand below each other. */
function grouped(q: tf.Tensor4D, keys: tf.Tensor4D, values: tf.Tensor4D, mask: tf.Tensor4D): tf.Tensor {
  const [batch, heads, tokens, dim] = q.shape;
  const [, groups] = keys.shape;
  if (groups === heads) return attention(q, keys, values, mask);
  const shared = heads / groups;
  const below = tf.reshape(q, [batch, groups, shared * tokens, dim]);
  const seen = mask.shape[2] === 1 ? mask : tf.tile(mask, [1, 1, shared, 1]);
  return tf.reshape(attention(below, keys, values, seen), q.shape);
}

/** Past of each row, from that of the beginnings. */
function ownedBy({ keys, values }: KeysValues, owner: tf.Tensor1D): KeysValues {
  const pick = (x: tf.Tensor4D) =>
    tf.reshape<tf.Rank.R4>(embedding(tf.reshape(x, [x.shape[0], -1]), owner), [owner.shape[0], ...x.shape.slice(1)] as [
      number,
      number,
      number,
      number,
    ]);
  return { keys: pick(keys), values: pick(values) };
}

/** What came before, and behind it what comes now. */
function continued(past: KeysValues, own: KeysValues): KeysValues {
  return { keys: tf.concat([past.keys, own.keys], 2), values: tf.concat([past.values, own.values], 2) };
}
