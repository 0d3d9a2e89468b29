/** Rows of text as tensors, those that begin alike with one beginning; see `nn/shared-rows`. */
import { tf } from '../engine';
import { roomFor, sizeFor } from './buckets';
import { additiveMask, BLOCKED } from './causal-mask';
import { type RotaryConfig, rotaryTables } from './rotary';
import type { SharedRows } from './shared-rows';

/** A row of text that is seen causally, but for what {@link SharedTexts} says of beginnings. */
export interface SharingRow {
  /** The beginning, and what follows it. */
  readonly beginning: readonly number[];
  readonly rest: readonly number[];
  /** The same for rows whose beginnings are the same. */
  readonly key: unknown;
}

/** A type, not an interface: a plain record of tensors. */
export type SharedTextInputs = SharedRows & {
  /** int32 `[1, beginnings * shared + rows * tokens]` */
  readonly ids: tf.Tensor2D;
};

export interface SharedTexts {
  /** Ids of all beginnings, padded, then of all rests, padded. */
  readonly ids: readonly number[];
  /** Of each different beginning, the first row that has it. */
  readonly firsts: readonly number[];
  /** Where a row's token stands among {@link ids}. */
  readonly placeOf: (row: number, token: number) => number;
  /** Tensors of it all. */
  readonly inputs: () => SharedTextInputs;
}

/**
 * @param rows one at least, each with a beginning
 * @param pad id that fills beginnings and rests up, to one of a few lengths
 * @param mask what a beginning's tokens see of it, `length * length` bytes, row = query. Default: causal
 */
export function sharedTexts(
  rows: readonly SharingRow[],
  pad: number,
  rotary: RotaryConfig,
  mask?: (row: SharingRow, length: number) => Uint8Array,
): SharedTexts {
  const keys = [...new Set(rows.map(({ key }) => key))];
  const owner = rows.map(({ key }) => keys.indexOf(key));
  const firsts = keys.map((_, i) => owner.indexOf(i));
  const shared = sharedRoom(rows, keys.length);
  const tokens = sizeOf(rows.map(({ rest }) => rest));
  const filled = (row: readonly number[], length: number) => [
    ...row,
    ...new Array<number>(length - row.length).fill(pad),
  ];
  const places = sizeFor(keys.length, 4);
  const begun = firsts.map((b) => filled(rows[b].beginning, shared));
  const empty = Array.from({ length: places - keys.length }, () => filled([], shared));
  const ids = [...begun, ...empty, ...rows.map(({ rest }) => filled(rest, tokens))].flat();
  const lengths = rows.map(({ beginning }) => beginning.length);
  const inputs = (): SharedTextInputs => {
    const masks = mask ? firsts.map((b) => mask(rows[b], shared)) : [causal(shared)];
    const all = mask ? [...masks, ...empty.map(() => causal(shared))] : masks;
    return {
      ids: tf.tensor2d(Int32Array.from(ids), [1, ids.length], 'int32'),
      owner: tf.tensor1d(owner, 'int32'),
      beginning: { mask: additiveMask(all, shared), tables: rotaryTables(countFrom(0, shared), rotary) },
      rest: {
        mask: restMask(lengths, shared, tokens),
        tables: rotaryTables(
          lengths.map((length) => countFrom(length, tokens)),
          rotary,
        ),
      },
    };
  };
  const placeOf = (row: number, token: number) =>
    token < lengths[row] ? owner[row] * shared + token : places * shared + row * tokens + token - lengths[row];
  return { ids, firsts, placeOf, inputs };
}

const sizeOf = (lists: readonly (readonly number[])[]): number =>
  sizeFor(Math.max(1, ...lists.map(({ length }) => length)), 4);

/** Rows of one beginning that make its length of little weight. */
const MANY = 12;

/** Tokens of a beginning. What many rows share is computed once: it gets room for prompts of every kind. */
function sharedRoom(rows: readonly SharingRow[], beginnings: number): number {
  const size = sizeOf(rows.map(({ beginning }) => beginning));
  return beginnings === 1 && rows.length >= MANY ? roomFor(size) : size;
}

const countFrom = (start: number, count: number): number[] => Array.from({ length: count }, (_, i) => start + i);

function causal(length: number): Uint8Array {
  const mask = new Uint8Array(length * length);
  for (let q = 0; q < length; q++) mask.fill(1, q * length, q * length + q + 1);
  return mask;
}

/** A rest sees all of its row's beginning, but for the padding, and itself causally. `[rows, 1, tokens, shared + tokens]` */
function restMask(lengths: readonly number[], shared: number, tokens: number): tf.Tensor4D {
  const keys = shared + tokens;
  const mask = new Float32Array(lengths.length * tokens * keys);
  lengths.forEach((length, b) => {
    for (let t = 0; t < tokens; t++) {
      const at = (b * tokens + t) * keys;
      mask.fill(BLOCKED, at + length, at + shared);
      mask.fill(BLOCKED, at + shared + t + 1, at + keys);
    }
  });
  return tf.tensor4d(mask, [lengths.length, 1, tokens, keys]);
}
