import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  attention,
  hasProjectedAttention,
  layerNorm,
  projectedAttention,
  type ProjectedInputs,
  startEngine,
  tf,
  traced,
  turned,
} from '../../src/engine';
import { BLOCKED } from '../../src/nn/causal-mask';
import { rotaryTables } from '../../src/nn/rotary';
import { normal } from './numeric';

interface Sizes {
  readonly heads: number;
  /** Of queries, to one of keys and values. */
  readonly shares: number;
  readonly dim: number;
  readonly rows: number;
  readonly tokens: number;
  readonly beginnings: number;
  readonly shared: number;
  readonly normed: boolean;
}

const positions = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

/** A mask of its own for every row and query: about a third is hidden, and nobody sees nothing. */
function maskOf(rows: number, tokens: number, keys: number, seed: number): tf.Tensor4D {
  const values = normal([rows, 1, tokens, keys], seed).dataSync();
  const mask = Float32Array.from(values, (x, i) => (x < -0.4 && i % keys !== 0 ? BLOCKED : 0));
  return tf.tensor4d(mask, [rows, 1, tokens, keys]);
}

function inputsOf(sizes: Sizes): ProjectedInputs {
  const { heads, shares, dim, rows, tokens, beginnings, shared, normed } = sizes;
  const all = beginnings * shared + rows * tokens;
  const config = { headDim: dim, rotated: dim / 2, theta: 100 };
  const normOf = (seed: number) => ({ weight: tf.add(normal([dim], seed), 1), bias: normal([dim], seed + 1) });
  const own = {
    mask: maskOf(rows, tokens, shared + tokens, 5),
    tables: rotaryTables(positions(shared, tokens), config),
  };
  return {
    q: normal([1, all, heads * dim], 1),
    k: normal([1, all, (heads / shares) * dim], 2),
    v: normal([1, all, (heads / shares) * dim], 3),
    ...(normed ? { norms: { q: normOf(11), k: normOf(13), epsilon: 1e-5 } } : {}),
    rows: own,
    ...(beginnings > 0
      ? {
          begun: {
            mask: maskOf(1, shared, shared, 6),
            tables: rotaryTables(positions(0, shared), config),
            owner: tf.tensor1d(
              positions(0, rows).map((r) => (r * 7) % beginnings),
              'int32',
            ),
          },
        }
      : {}),
  };
}

/** Sequence by sequence, in plain operations of tf.js. */
function plain({ q, k, v, norms, rows, begun }: ProjectedInputs, dim: number): tf.Tensor {
  const heads = (x: tf.Tensor, from: number, count: number) =>
    tf.transpose<tf.Tensor4D>(
      tf.reshape(tf.slice(x as tf.Tensor3D, [0, from, 0], [1, count, -1]), [1, count, -1, dim]),
      [0, 2, 1, 3],
    );
  const normed = (x: tf.Tensor4D, norm?: { weight: tf.Tensor; bias: tf.Tensor }) =>
    norm ? layerNorm(x, norm.weight as tf.Tensor1D, norm.bias as tf.Tensor1D, 1e-5) : x;
  const repeated = (x: tf.Tensor4D) => {
    const [, groups, count] = x.shape;
    const shares = (q.shape[2] ?? 1) / (k.shape[2] ?? 1);
    const wide = tf.tile(tf.reshape(x, [1, groups, 1, count * dim]), [1, 1, shares, 1]);
    return tf.reshape<tf.Rank.R4>(wide, [1, groups * shares, count, dim]);
  };
  const part = (of: ProjectedInputs['rows'], from: number, count: number) => ({
    q: turned(normed(heads(q, from, count), norms?.q) as tf.Tensor4D, of.tables),
    k: repeated(turned(normed(heads(k, from, count), norms?.k) as tf.Tensor4D, of.tables)),
    v: repeated(heads(v, from, count)),
  });
  const lengthOf = (of: ProjectedInputs['rows']) => of.tables.cos.shape[0];
  const maskAt = (of: ProjectedInputs['rows'], i: number) =>
    tf.slice(of.mask as tf.Tensor4D, [of.mask?.shape[0] === 1 ? 0 : i, 0, 0, 0], [1, -1, -1, -1]);
  const flat = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [1, x.shape[2] ?? 1, -1]);
  const out: tf.Tensor[] = [];
  const [shared, own] = [begun ? lengthOf(begun) : 0, lengthOf(rows)];
  const owner = begun ? [...begun.owner.dataSync()] : [];
  const count = begun ? owner.length : (q.shape[1] ?? 1) / own;
  const first = (q.shape[1] ?? 1) - count * own;
  const begunParts = Array.from({ length: begun ? first / shared : 0 }, (_, i) =>
    part(begun ?? rows, i * shared, shared),
  );
  begunParts.forEach((b, i) => out.push(flat(attention(b.q, b.k, b.v, maskAt(begun ?? rows, i)))));
  for (let i = 0; i < count; i++) {
    const mine = part(rows, first + i * own, own);
    const past = begun ? begunParts[owner[i]] : undefined;
    const keys = past ? tf.concat([past.k, mine.k], 2) : mine.k;
    const values = past ? tf.concat([past.v, mine.v], 2) : mine.v;
    out.push(flat(attention(mine.q, keys, values, maskAt(rows, i))));
  }
  return tf.concat(out, 1);
}

/** Value and gradients in q, k, v and the weights of norms. */
function computed(inputs: ProjectedInputs, compute: (inputs: ProjectedInputs) => tf.Tensor): tf.Tensor[] {
  const { q, k, v, norms } = inputs;
  const weights = norms ? [norms.q.weight, norms.q.bias, norms.k.weight, norms.k.bias] : [];
  const dy = normal(q.shape, 77);
  const of = ([qs, ks, vs, ...w]: tf.Tensor[]) =>
    compute({
      ...inputs,
      q: qs,
      k: ks,
      v: vs,
      ...(norms
        ? { norms: { q: { weight: w[0], bias: w[1] }, k: { weight: w[2], bias: w[3] }, epsilon: norms.epsilon } }
        : {}),
    });
  const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) => of(xs))([q, k, v, ...weights], dy);
  return [value, ...grads];
}

function agrees(sizes: Sizes): void {
  tf.tidy(() => {
    const inputs = inputsOf(sizes);
    const [own, expected] = [computed(inputs, projectedAttention), computed(inputs, (x) => plain(x, sizes.dim))];
    // Both round what they multiply to bfloat16, at different places: an error is small beside all numbers together.
    own.forEach((x, i) => {
      const lengthOf = (t: tf.Tensor) => tf.norm(t).dataSync()[0];
      const apart = lengthOf(tf.sub(x, expected[i])) / lengthOf(expected[i]);
      assert.ok(apart < 0.02, `tensor ${i} of ${JSON.stringify(sizes)} is ${apart} apart`);
    });
  });
}

describe('attention of projections as one operation', () => {
  let lacks: string | false = false;
  before(async () => {
    await startEngine({ precision: 'bf16', quiet: true });
    lacks = !hasProjectedAttention() && 'this processor has no matrix unit, or it may not be used';
  });

  test('one head of two numbers: a query that sees one key gets its value, one that sees two the mean of equals', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const tables = rotaryTables([0, 0], { headDim: 2, rotated: 2, theta: 1 });
      const x = tf.tensor3d([1, 0, 1, 0], [1, 2, 2]);
      const v = tf.tensor3d([2, 4, 6, 8], [1, 2, 2]);
      const mask = tf.tensor4d([0, BLOCKED, 0, 0], [1, 1, 2, 2]);
      assert.deepEqual([...projectedAttention({ q: x, k: x, v, rows: { mask, tables } }).dataSync()], [2, 4, 4, 6]);
    });
  });

  test('is what its parts are, in value and gradients: rows behind beginnings, with norms', (context) => {
    if (lacks) return context.skip(lacks);
    agrees({ heads: 2, shares: 1, dim: 64, rows: 5, tokens: 66, beginnings: 3, shared: 32, normed: true });
  });

  test('of any sizes', (context) => {
    if (lacks) return context.skip(lacks);
    const size = fc.record({
      heads: fc.constantFrom(2, 4),
      shares: fc.constantFrom(1, 2),
      dim: fc.constantFrom(4, 12, 32, 64, 80),
      rows: fc.integer({ min: 1, max: 3 }),
      tokens: fc.integer({ min: 1, max: 140 }),
      beginnings: fc.integer({ min: 0, max: 2 }),
      shared: fc.integer({ min: 1, max: 40 }),
      normed: fc.boolean(),
    });
    fc.assert(
      fc.property(size, (sizes) => {
        agrees({ ...sizes, shared: sizes.beginnings > 0 ? sizes.shared : 0 });
      }),
      { numRuns: 25, seed: 3 },
    );
  });

  test('twice the same to the bit, traced or not; shapes that do not fit are said', (context) => {
    if (lacks) return context.skip(lacks);
    tf.tidy(() => {
      const sizes = { heads: 4, shares: 2, dim: 32, rows: 4, tokens: 40, beginnings: 2, shared: 17, normed: true };
      const inputs = inputsOf(sizes);
      const run = traced('attention of projections', () => computed(inputs, projectedAttention));
      const all = [computed(inputs, projectedAttention), run(), run(), run()].map((x) => x.map((t) => t.dataSync()));
      for (const other of all) assert.deepEqual(other, all[0]);
      run.dispose();
      assert.throws(() => projectedAttention({ ...inputs, q: normal([1, 7, 128], 1) }), /do not fit heads of 32/);
    });
  });
});
