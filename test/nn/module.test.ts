import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { Conv2d, LayerNorm, Linear, RmsNorm } from '../../src/nn/layers';
import { mapTree, Module, namedParameters } from '../../src/nn/module';
import { ParamStore } from '../../src/nn/store';
import { apart, livelyStore, logitsOf, TINY_CONFIG, TinyBlock, TinyNetwork } from './tiny-network';

before(() => startEngine({ precision: 'float32', quiet: true }));

const given = (numbers: Record<string, number[]>) => (name: string) => Float32Array.from(numbers[name]);

describe('layers', () => {
  it('compute what their formulas say', () => {
    const [linear, norm, rms] = [new Linear(2, 3), new LayerNorm(2, 0), new RmsNorm(2, 0)];
    const numbers = given({ weight: [1, 2, 3, 4, 5, 6], bias: [10, 20, 30] });
    const scale = given({ weight: [1, 2], bias: [0, 10] });
    tf.tidy(() => {
      const x = tf.tensor2d([[1, -1]]);
      const bound = linear.with(ParamStore.fill(linear, numbers));
      assert.deepEqual(Array.from(bound.forward(x).dataSync()), [9, 19, 29]);
      assert.deepEqual(Array.from(bound.outputs(x, 1, 2).dataSync()), [19, 29]);
      const layerNorm = norm.with(ParamStore.fill(norm, scale));
      assert.deepEqual(Array.from(layerNorm.forward(tf.tensor2d([[3, 5]])).dataSync()), [-1, 12]);
      const rmsNorm = rms.with(ParamStore.fill(rms, scale));
      assert.ok(apart(rmsNorm.forward(tf.tensor2d([[1, 7]])).dataSync(), [0.2, 2.8]) < 1e-6);
      assert.throws(() => bound.forward(tf.zeros([2, 4])), /x \[2,4\] does not fit the weight \[3,2\]/);
    });
  });

  it('hold convolutions as tf.js has them and give them back as upstream has them', async () => {
    const conv = new Conv2d(1, 1, [1, 2], { pad: 'valid' });
    const store = ParamStore.fill(conv, given({ weight: [2, 3], bias: [1] }));
    tf.tidy(() => {
      const out = conv.with(store).forward(tf.tensor4d([1, 10, 100], [1, 1, 3, 1]));
      assert.deepEqual(Array.from(out.dataSync()), [2 + 30 + 1, 20 + 300 + 1]);
    });
    assert.deepEqual(store.get('weight').shape, [1, 2, 1, 1]);
    assert.deepEqual((await store.values()).weight, { shape: [1, 1, 1, 2], data: Float32Array.from([2, 3]) });
    store.dispose();
  });
});

describe('a module', () => {
  it('names its parameters after where they stand; tied ones once', () => {
    const names = (tied: boolean) => namedParameters(new TinyNetwork({ ...TINY_CONFIG, layers: 1, tied }));
    const block = ['norm.weight', 'norm.bias', 'mlp.fc1.weight', 'mlp.fc1.bias', 'mlp.fc2.weight', 'mlp.fc2.bias'];
    const layer = block.map((name) => `layers.0.${name}`);
    assert.deepEqual([...names(false).own.keys()], ['embed.weight', ...layer, 'head.weight', 'head.bias']);
    assert.deepEqual([...names(true).own.keys()], ['embed.weight', ...layer, 'head.bias']);
    assert.deepEqual([...names(true).aliases], [['head.weight', 'embed.weight']]);
  });

  it('computes with the numbers of the store that it was given, and says when it has none', () => {
    const net = new TinyNetwork(TINY_CONFIG);
    const [first, second] = [1, 2].map((seed) => livelyStore(net, new Rng(seed)));
    const [a, b] = [net.with(first), net.with(second)];
    assert.ok(apart(logitsOf(a), logitsOf(b)) > 0.1);
    assert.deepEqual(logitsOf(a.with(second)), logitsOf(b), 'numbers given later replace the earlier ones');
    assert.throws(() => logitsOf(net), /a parameter \[6, 4\] has no numbers yet/);
    const block = new TinyBlock(TINY_CONFIG);
    assert.throws(() => block.with(ParamStore.random(new LayerNorm(4, 1), new Rng(1))), /no store has norm\.weight, /);
    const start = tf.memory().numTensors;
    logitsOf(a);
    assert.equal(tf.memory().numTensors, start, 'a forward pass leaves nothing behind');
    for (const store of [first, second]) store.dispose();
  });

  it('lists what learns; a frozen one computes the same and lists nothing', () => {
    const net = new TinyNetwork({ ...TINY_CONFIG, tied: true });
    const store = livelyStore(net, new Rng(1));
    const model = net.with(store);
    assert.deepEqual(model.variables(), store.variables);
    assert.deepEqual(model.frozen().variables(), {});
    assert.deepEqual([...namedParameters(model.frozen()).aliases.keys()], ['head.weight']);
    assert.deepEqual(logitsOf(model.frozen()), logitsOf(model));
    store.dispose();
  });

  it('is copied where something is replaced, and only there', () => {
    const net = new TinyNetwork(TINY_CONFIG);
    const seen: string[] = [];
    const other = new Linear(4, 6);
    const changed = mapTree(net, (node, name) => {
      if (node instanceof Module) seen.push(name);
      return name === 'head' ? other : node;
    });
    assert.equal(changed.head, other);
    assert.ok(changed instanceof TinyNetwork && changed !== net && changed.layers === net.layers);
    assert.ok(seen.indexOf('layers.1.mlp.fc2') < seen.indexOf('layers.1'), 'inner layers come first');
    assert.equal(
      mapTree(net, (node) => node),
      net,
    );
  });
});
