import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { Lora } from '../../src/nn/adapters';
import { withExtraTokens } from '../../src/nn/extra-tokens';
import { Embedding, Linear } from '../../src/nn/layers';
import { ParamStore } from '../../src/nn/store';
import { apart, livelyStore, logitsOf, TINY_CONFIG, TINY_IDS, TinyNetwork } from './tiny-network';

before(() => startEngine({ precision: 'float32', quiet: true }));

describe('extra tokens', () => {
  const net = new TinyNetwork(TINY_CONFIG);

  it('stand after the vocabulary, in and out, and are all that learns', () => {
    const store = livelyStore(net, new Rng(1));
    const model = net.with(store);
    const taught = withExtraTokens(model, { embeddings: model.embed, head: model.head }, 2);
    const rows = ParamStore.added(taught, (name, { shape }) =>
      new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
    );
    assert.deepEqual(Object.keys(rows.variables), ['embed.extra.weight', 'head.extra.weight', 'head.extra.bias']);
    assert.deepEqual(rows.get('embed.extra.weight').shape, [2, 4]);
    const bound = taught.with(rows);
    const logits = logitsOf(bound);
    assert.equal(logits.length, 2 * 3 * 8);
    const plain = logitsOf(model);
    const known = logits.filter((_, i) => i % 8 < 6);
    assert.ok(apart(known, plain) < 1e-6, 'the vocabulary is as before');
    // An input row equal to a known token's is that token.
    const table = store.get('embed.weight');
    tf.tidy(() => void rows.variables['embed.extra.weight'].assign(tf.slice(table, [3, 0], [2, -1])));
    const renamed = TINY_IDS.map((row) => row.map((id) => (id === 3 ? 6 : id === 4 ? 7 : id)));
    assert.ok(apart(logitsOf(bound, renamed), logitsOf(bound)) < 1e-6);
    for (const owner of [rows, store]) owner.dispose();
  });

  it('leave an adapter of the output layer in force', () => {
    const store = livelyStore(net, new Rng(1));
    const lora = Lora.create(net.with(store), { rank: 2, targets: ['head'] }, new Rng(2));
    const plain = logitsOf(lora.net);
    tf.tidy(() => lora.store.variables['head.lora_B.weight'].assign(tf.fill([6, 2], 0.5)));
    const adapted = logitsOf(lora.net);
    assert.ok(apart(adapted, plain) > 1e-2, 'the adapter changes the logits');
    const taught = withExtraTokens(lora.net, { embeddings: lora.net.embed, head: lora.net.head }, 2);
    const rows = ParamStore.added(taught, (_, { shape }) =>
      new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
    );
    const bound = taught.with(rows);
    const known = logitsOf(bound).filter((_, i) => i % 8 < 6);
    assert.ok(apart(known, adapted) < 1e-6, 'the vocabulary is as the adapter makes it');
    const names = Object.keys(bound.variables()).filter((name) => name.startsWith('head.'));
    assert.deepEqual(names.sort(), [
      'head.extra.bias',
      'head.extra.weight',
      'head.lora_A.weight',
      'head.lora_B.weight',
    ]);
    lora.merge();
    assert.ok(
      apart(
        logitsOf(bound).filter((_, i) => i % 8 < 6),
        adapted,
      ) < 1e-5,
      'and merged, too',
    );
    for (const owner of [rows, lora.store, store]) owner.dispose();
  });

  it('refuse layers of another network, and counts that are none', () => {
    const { embed: embeddings, head } = net;
    assert.throws(() => withExtraTokens(net, { embeddings, head }, 0), /positive integer, got 0/);
    assert.throws(() => withExtraTokens(net, { embeddings: new Embedding(6, 4), head }, 1), /not of this network/);
    assert.throws(() => withExtraTokens(net, { embeddings, head: new Linear(4, 6) }, 1), /not of this network/);
  });
});
