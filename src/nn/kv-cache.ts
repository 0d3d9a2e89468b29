/**
 * Keys and values of the tokens that a decoder has seen, so that the next token costs one row and not the whole
 * sequence again. Rows may differ in length: each has its own tokens from place 0 on. There is room for a fixed number
 * of tokens, so that shapes come again step after step, and new ones are written in place.
 */
import { cachedAttention, type KeysValues, tf } from '../engine';
import { rowsFor, sizeFor } from './buckets';

export class KvCache {
  private readonly held: (KeysValues | undefined)[];
  /** Tokens of each computed row. */
  private filled: number[] = [];
  /** Where the rows that go on stand among those that are computed. */
  private places: number[] = [];
  private changes = 0;
  /** Rows that there were before some of them ended. */
  private begun = 0;
  /** `filled` as a tensor, while a pass over tokens that follow others is under way. */
  private lengthsNow: tf.Tensor1D | undefined;

  /**
   * @param layers number of decoder layers
   * @param room tokens that a row is going to have; it grows when they turn out to be more. Default 64
   * @param keepsRows rows that ended are computed on to the end, and never fewer
   */
  constructor(
    layers: number,
    private readonly room = 64,
    private readonly keepsRows = false,
  ) {
    this.held = new Array<KeysValues | undefined>(layers).fill(undefined);
  }

  /** Tokens held, row by row. */
  get lengths(): readonly number[] {
    return this.places.map((place) => this.filled[place]);
  }

  /** Rows that are computed: some may have ended already. Undefined before the first tokens. */
  get batch(): number | undefined {
    return this.held[0]?.keys.shape[0];
  }

  /** Tokens of a row that there is room for; 0 before the first ones. */
  get capacity(): number {
    return this.held[0]?.keys.shape[2] ?? 0;
  }

  /** Another number whenever the held tensors were replaced by others. */
  get version(): number {
    return this.changes;
  }

  /** Bytes of the held tensors. */
  get bytes(): number {
    return this.held.reduce((sum, layer) => sum + (layer ? 4 * (layer.keys.size + layer.values.size) : 0), 0);
  }

  /**
   * What is given of the rows that go on, for all that are computed.
   * @param rows one item a row, in the order of the last {@link select}
   */
  spread<T>(rows: readonly T[]): T[] {
    const all = new Array<T>(this.batch ?? rows.length).fill(rows[0]);
    rows.forEach((row, i) => (all[this.places[i] ?? i] = row));
    return all;
  }

  /**
   * Of all computed rows, `[batch, width]`, those that go on, in their order.
   * @param numbers disposed, unless it is what is returned
   */
  gathered(numbers: tf.Tensor2D): tf.Tensor2D {
    return rowsOf(numbers, this.places);
  }

  /**
   * Attention of one layer in a {@link pass}, whose keys and values are held from now on.
   * @param q `[batch, heads, tokens, headDim]`; see `cachedAttention`
   * @param own keys and values of the same tokens, positions already applied
   * @param first attention of tokens that are a sequence's first, among themselves; others see all before them
   * @throws RangeError when rows, heads or dimensions differ from what is held
   */
  attend(layer: number, q: tf.Tensor4D, own: KeysValues, scale: number, first: () => tf.Tensor): tf.Tensor {
    const held = this.held[layer];
    if (!held || !this.lengthsNow) {
      const padded = (tensor: tf.Tensor4D) => tf.keep(grownTo(tensor, sizeFor(this.room, 4)));
      this.held[layer] = { keys: padded(own.keys), values: padded(own.values) };
      this.changes++;
      return first();
    }
    const { value, held: after } = cachedAttention(q, own, held, this.lengthsNow, scale);
    if (after !== held) {
      this.held[layer] = { keys: tf.keep(after.keys), values: tf.keep(after.values) };
      this.changes++;
      release(held);
    }
    return value;
  }

  /** Makes room for more tokens. Not inside of a traced function. */
  reserve(tokens: number): void {
    if (!this.held[0]) return;
    const needed = Math.max(0, ...this.filled) + tokens;
    if (needed <= this.capacity) return;
    const capacity = sizeFor(Math.max(needed, 2 * this.capacity), 4);
    this.replace((tensor) => grownTo(tensor, capacity));
  }

  /**
   * Runs a pass over the next tokens, and counts them afterwards.
   * @param counts how many each row got; of fewer than were computed, the rest is overwritten by what comes next.
   *   Default: all
   */
  pass<T>(rows: number, tokens: number, counts: readonly number[] | undefined, work: () => T): T {
    const goesOn = this.capacity > 0;
    if (!goesOn) this.restart(rows);
    const lengths = this.lengthsTensor();
    try {
      const result = goesOn ? this.within(lengths, work) : work();
      this.count(counts ?? this.places.map(() => tokens));
      return result;
    } finally {
      lengths.dispose();
    }
  }

  /** Runs a pass over tokens that follow others; whoever calls it counts them. @param lengths {@link lengthsTensor} */
  within<T>(lengths: tf.Tensor1D, work: () => T): T {
    this.lengthsNow = lengths;
    try {
      return work();
    } finally {
      this.lengthsNow = undefined;
    }
  }

  /** Tokens of all computed rows, int32 `[batch]`; the caller's to dispose. */
  lengthsTensor(): tf.Tensor1D {
    return tf.tensor1d(Int32Array.from(this.filled), 'int32');
  }

  /** Positions of the next tokens of all computed rows. */
  nextPositions(tokens: number): number[][] {
    return this.filled.map((length) => Array.from({ length: tokens }, (_, t) => length + t));
  }

  /** Counts tokens that a pass was run over. @param counts how many each row got */
  count(counts: readonly number[]): void {
    this.places.forEach((place, i) => (this.filled[place] += counts[i]));
  }

  /** A row begins anew; what it held is forgotten. */
  clear(row: number): void {
    this.filled[this.places[row]] = 0;
  }

  /**
   * Goes on with the given rows, in the given order; a row may be repeated (one prompt, many samples). Rows that ended
   * are computed on until half of them has, or three quarters: three shapes, however they end.
   */
  select(rows: readonly number[]): void {
    const kept = rows.map((row) => this.places[row]);
    const isPart = new Set(kept).size === kept.length && kept.length <= this.filled.length;
    if (!isPart) this.begun = kept.length;
    const batch = this.keepsRows && isPart ? this.filled.length : rowsFor(kept.length, this.begun);
    if (isPart && batch === this.batch) {
      this.places = kept;
      return;
    }
    const from = [...kept, ...Array.from({ length: batch - kept.length }, () => kept[0])];
    const at = tf.tensor1d(Int32Array.from(from), 'int32');
    this.replace((tensor) => tf.gather(tensor, at));
    at.dispose();
    this.filled = from.map((place) => this.filled[place]);
    this.places = kept.map((_, i) => i);
  }

  dispose(): void {
    this.held.forEach(release);
    this.held.fill(undefined);
    this.filled = [];
    this.places = [];
  }

  private restart(rows: number): void {
    this.filled = new Array<number>(rows).fill(0);
    this.places = Array.from({ length: rows }, (_, i) => i);
    this.begun = rows;
  }

  private replace(change: (tensor: tf.Tensor4D) => tf.Tensor4D): void {
    this.changes++;
    this.held.forEach((layer, i) => {
      if (!layer) return;
      const [keys, values] = tf.tidy(() => [tf.keep(change(layer.keys)), tf.keep(change(layer.values))]);
      this.held[i] = { keys, values };
      release(layer);
    });
  }
}

/**
 * Some rows of numbers, in an order; a row may come again.
 * @param numbers `[rows, width]`, disposed, unless it is what is returned
 */
export function rowsOf(numbers: tf.Tensor2D, rows: readonly number[]): tf.Tensor2D {
  if (rows.length === numbers.shape[0] && rows.every((row, i) => row === i)) return numbers;
  try {
    return tf.tidy(() => tf.gather(numbers, tf.tensor1d(Int32Array.from(rows), 'int32')));
  } finally {
    numbers.dispose();
  }
}

/** With zeros behind its tokens: a tensor of its own, even where there is room already. */
function grownTo(tensor: tf.Tensor4D, capacity: number): tf.Tensor4D {
  const missing = Math.max(1, capacity - tensor.shape[2]);
  return tf.pad(tensor, [
    [0, 0],
    [0, 0],
    [0, missing],
    [0, 0],
  ]);
}

function release(layer: KeysValues | undefined): void {
  layer?.keys.dispose();
  layer?.values.dispose();
}
