import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { readValues, startEngine, Rng, tf } from '../../../src/engine';
import { ACTIVATIONS, activation } from '../../../src/nn/activations';
import { EncoderBlock, type EncoderConfig, type EncoderParts, runBlocks } from '../../../src/nn/encoder';
import { Linear } from '../../../src/nn/layers';
import { Module, Parameter } from '../../../src/nn/module';
import { interpolatePositions, PatchEmbedding } from '../../../src/nn/patches';
import { ParamStore } from '../../../src/nn/store';
import { livelyStore } from '../tiny-network';

const config: EncoderConfig = { hidden: 12, layers: 3, heads: 3, intermediate: 20, eps: 1e-5, activation: 'gelu' };
class Block extends EncoderBlock {
  readonly norm1 = this.newNorm();
  readonly qkv = this.newProjection(3);
  readonly q = this.newProjection();
  readonly k = this.newProjection();
  readonly v = this.newProjection();
  readonly out = this.newOutput();
  readonly norm2 = this.newNorm();
  readonly up = new Linear(this.config.hidden, (this.config.gated ? 2 : 1) * this.config.intermediate);
  readonly down = new Linear(this.config.intermediate, this.config.hidden);

  protected parts(): EncoderParts {
    const { q: query, k: key, v: value, out: output, norm1, norm2, up, down } = this;
    return { norm1, project: { query, key, value }, output, norm2, up, down };
  }
}

/** The same block with one projection in place of three. */
class FusedBlock extends Block {
  protected override parts(): EncoderParts {
    return { ...super.parts(), project: { qkv: this.qkv } };
  }
}

class ScaledBlock extends Block {
  readonly s1 = new Parameter<tf.Tensor1D>([this.config.hidden], { constant: 1 });
  readonly s2 = new Parameter<tf.Tensor1D>([this.config.hidden], { constant: 1 });

  protected override parts(): EncoderParts {
    return { ...super.parts(), scales: [this.s1, this.s2] };
  }
}

class Encoder extends Module<EncoderConfig> {
  readonly blocks: Block[];

  constructor(config: EncoderConfig, kind: new (config: EncoderConfig) => Block = Block) {
    super(config);
    this.blocks = Array.from({ length: config.layers }, () => new kind(config));
  }
}

/** Weights large enough that every part of a block matters. */
function build(net = new Encoder(config)): { net: Encoder; store: ParamStore } {
  const store = livelyStore(net, new Rng(1));
  return { net: net.with(store), store };
}

function values(seed: number, shape: number[]): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(new Rng(seed).normal(size), shape);
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  return Array.from(a).reduce((worst, v, i) => Math.max(worst, Math.abs(v - b[i])), 0);
}

describe('the encoder block', () => {
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
  });

  it('gives the same with one fused projection as with three', async () => {
    const { net, store } = build();
    const own = await store.values();
    const stacked = ParamStore.fill(net, (name) => {
      const parts = ['q', 'k', 'v'].map((part) => own[name.replace('qkv', part)].data);
      return name.includes('qkv') ? Float32Array.from(parts.flatMap((data) => Array.from(data))) : own[name].data;
    });
    const fused = new Encoder(config, FusedBlock).with(stacked);
    const x = values(2, [2, 5, 12]) as tf.Tensor3D;
    const a = readValues(() => runBlocks(net.blocks, x));
    const b = readValues(() => runBlocks(fused.blocks, x));
    assert.ok(distance(a, b) < 1e-5);
    tf.dispose(x);
    store.dispose();
    stacked.dispose();
  });

  it('sees what the mask shows, and nothing else', () => {
    const { net, store } = build();
    const mask = tf.tensor4d([0, -1e9, -1e9, 0, 0, -1e9, 0, 0, 0], [1, 1, 3, 3]); // causal
    const x = values(3, [1, 3, 12]) as tf.Tensor3D;
    const other = tf.tidy(() =>
      tf.concat([tf.slice(x, [0, 0, 0], [1, 2, 12]), values(4, [1, 1, 12])], 1),
    ) as tf.Tensor3D;
    const first = (input: tf.Tensor3D, m: tf.Tensor | null): Float32Array =>
      readValues(() => tf.slice(runBlocks(net.blocks, input, m), [0, 0, 0], [1, 2, 12]));
    assert.ok(distance(first(x, mask), first(other, mask)) < 1e-6);
    assert.ok(distance(first(x, null), first(other, null)) > 1e-2);
    tf.dispose([mask, x, other]);
    store.dispose();
  });

  it('is its input where layer scale is 0, and gates its MLP where told', () => {
    const { net, store } = build(new Encoder({ ...config, gated: true }, ScaledBlock));
    assert.deepEqual(store.get('blocks.0.up.weight').shape, [40, 12]);
    const x = values(5, [1, 4, 12]) as tf.Tensor3D;
    const moved = readValues(() => net.blocks[0].forward(x));
    assert.ok(distance(moved, x.dataSync()) > 0.1);
    for (const at of ['s1', 's2']) {
      const zeros = tf.zeros([12]);
      store.variables[`blocks.0.${at}`].assign(zeros);
      zeros.dispose();
    }
    const still = readValues(() => net.blocks[0].forward(x));
    assert.equal(distance(still, x.dataSync()), 0);
    x.dispose();
    store.dispose();
  });

  it('keeps what it is asked to keep, leaks nothing, and has gradients', () => {
    const { net, store } = build();
    const x = values(6, [2, 4, 12]) as tf.Tensor3D;
    const before = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) runBlocks(net.blocks, x).dispose();
    assert.equal(tf.memory().numTensors, before);
    const kept: tf.Tensor3D[] = [];
    const last = runBlocks(net.blocks, x, null, (output) => kept.push(output));
    assert.equal(kept.length, 3);
    assert.equal(kept[2].id, last.id);
    tf.dispose(kept);
    assert.equal(tf.memory().numTensors, before);
    const { value, grads } = tf.variableGrads(
      () => tf.sum(tf.square(runBlocks(net.blocks, x))),
      Object.values(store.variables),
    );
    for (const [name, variable] of Object.entries(store.variables).filter(([name]) => !name.includes('.qkv.'))) {
      const size = readValues(() => tf.sum(tf.abs(grads[variable.name])))[0];
      assert.ok(Number.isFinite(size), name);
      if (!name.endsWith('.k.bias')) assert.ok(size > 0, name); // attention ignores what all keys share
    }
    tf.dispose([value, grads, x]);
    store.dispose();
  });

  it('says which configuration cannot be built', () => {
    assert.throws(() => new Block({ ...config, heads: 5 }), /width of 12 cannot be shared by 5 heads/);
    assert.throws(() => new Block({ ...config, activation: 'gulp' }), /'gulp' is not known; there are gelu/);
  });

  it('knows every activation by its formula', () => {
    const x = [-3, -0.5, 0, 0.7, 2];
    const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
    const formulas: Record<string, (v: number) => number> = {
      quick_gelu: (v) => v * sigmoid(1.702 * v),
      silu: (v) => v * sigmoid(v),
      swish: (v) => v * sigmoid(v),
      relu: (v) => Math.max(0, v),
      relu6: (v) => Math.min(6, Math.max(0, v)),
      tanh: Math.tanh,
      sigmoid,
      linear: (v) => v,
      gelu_new: (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))),
    };
    for (const name of ACTIVATIONS) {
      const got = readValues(() => activation(name)(tf.tensor1d(x)));
      const formula = formulas[name] ?? formulas.gelu_new; // the forms of GELU differ by less than this tolerance
      assert.ok(distance(got, x.map(formula)) < 2e-3, name);
    }
  });
});

describe('patches and positions', () => {
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
  });

  it('cuts images row by row and leaves out what is no whole patch', () => {
    const image = tf.tensor4d(
      Array.from({ length: 5 * 7 }, (_, i) => i),
      [1, 5, 7, 1],
    );
    const patches = new PatchEmbedding(1, 1, [2, 3], { bias: false });
    const store = ParamStore.fill(patches, () => new Float32Array(6).fill(1));
    const tokens = patches.with(store).tokens(image);
    assert.deepEqual(tokens.shape, [1, 4, 1]);
    const sum = (y: number, x: number): number =>
      [0, 1].flatMap((i) => [0, 1, 2].map((j) => (y + i) * 7 + x + j)).reduce((a, b) => a + b, 0);
    assert.deepEqual(Array.from(tokens.dataSync()), [sum(0, 0), sum(0, 3), sum(2, 0), sum(2, 3)]);
    tf.dispose([image, tokens]);
    store.dispose();
  });

  it('stretches a flat table to a flat one, a slope to a rising one, and leaves leading rows alone', () => {
    const rows = [[9, 9], ...Array.from({ length: 16 }, (_, i) => [3, i % 4])];
    const table = tf.tensor2d(rows);
    const stretched = interpolatePositions(table, [4, 4], [6, 8]);
    assert.deepEqual(stretched.shape, [49, 2]);
    const got = stretched.arraySync();
    assert.deepEqual(got[0], [9, 9]);
    for (let y = 0; y < 6; y++) {
      for (let x = 0; x < 8; x++) {
        const [flat, slope] = got[1 + y * 8 + x];
        assert.ok(Math.abs(flat - 3) < 1e-5);
        // a = -0.75 bends straight lines a little, but alike on both sides of the middle.
        assert.ok(Math.abs(slope + got[1 + y * 8 + 7 - x][1] - 3) < 1e-5);
        assert.ok(Math.abs(slope - ((x + 0.5) / 2 - 0.5)) < 0.3, `${x}: ${slope}`);
      }
    }
    assert.throws(() => interpolatePositions(table, [4, 5], [6, 8]), /17 positions; 1 and a grid of 4 x 5/);
    tf.dispose([table, stretched]);
  });
});
