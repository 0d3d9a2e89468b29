import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { startEngine, Rng, tf } from '../../../src/engine';
import { readSafetensors, toFloat32, writeSafetensors } from '../../../src/io';
import { BERT_BASE, type BertConfig, BertModel, MINILM_L6, padRows } from '../../../src/models/scorers/bert';
import { BertNetwork } from '../../../src/models/scorers/bert/network';
import { parameterCount } from '../../../src/nn/store';
import { ErnieModel } from '../../../src/models/scorers/ernie';
import { SentenceEncoder } from '../../../src/models/scorers/sentences';

const PARITY = path.join(__dirname, '..', '..', 'parity');
const TINY: BertConfig = {
  ...BERT_BASE,
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 40,
  vocab_size: 50,
  max_position_embeddings: 16,
};

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = mkdtempSync(path.join(os.tmpdir(), 'unilab-bert-'));
});
after(() => rmSync(scratch, { recursive: true }));

const far = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));

/** A copy of a fixture, changed. */
function copied(kind: string, name: string, change: (folder: string) => void = () => {}): string {
  const folder = path.join(scratch, name);
  cpSync(path.join(PARITY, kind), folder, { recursive: true });
  change(folder);
  return folder;
}

function changeConfig(folder: string, change: Record<string, unknown>): void {
  const file = path.join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...change }));
}

describe('BERT', () => {
  it('gives a row the same vector alone, padded, and beside others', () => {
    const model = BertModel.random(TINY, new Rng(1));
    const row = fc.array(fc.integer({ min: 1, max: 49 }), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), (rows) => {
        const together = model.sentences(padRows(rows));
        rows.forEach((each, i) => assert.ok(far(model.sentences({ ids: [each] })[0], together[i]) < 1e-5));
      }),
      { numRuns: 12 },
    );
    model.dispose();
  });

  it('encodes more sentences than fit one piece, in order, and leaves no tensor', () => {
    const model = BertModel.random(TINY, new Rng(2));
    const rows = Array.from({ length: 70 }, (_, i) => [1 + (i % 49), 2, 3]);
    const kept = tf.memory().numTensors;
    const vectors = model.sentences({ ids: rows, types: rows.map(() => [0, 0, 1]) }, 'cls');
    assert.equal(vectors.length, 70);
    assert.ok(far(vectors[69], vectors[20]) < 1e-6 && far(vectors[69], vectors[21]) > 1e-3);
    for (const vector of vectors) assert.ok(Math.abs(vector.reduce((s, v) => s + v * v, 0) - 1) < 1e-5);
    const output = model.forward({ ids: rows.slice(0, 2) });
    assert.deepEqual(output.lastHiddenState.shape, [2, 3, 24]);
    assert.equal(output.hiddenStates.length, 3);
    tf.dispose([...output.hiddenStates, output.poolerOutput]);
    assert.equal(tf.memory().numTensors, kept);
    model.dispose();
  });

  it('is frozen: a gradient finds nothing to train', () => {
    const model = BertModel.random(TINY, new Rng(3));
    const loss = () => tf.sum<tf.Scalar>(model.pooled({ ids: [[1, 2]] }));
    assert.throws(() => tf.variableGrads(loss), /at least one|trainable|variables/i);
    model.dispose();
  });

  it('loads shards, half precision, old names and heads', async () => {
    const rows = { ids: [[5, 6, 7, 8]] };
    const plain = await BertModel.fromPretrained(path.join(PARITY, 'bert'));
    const expected = plain.sentences(rows)[0];
    const tensors = await readSafetensors(path.join(PARITY, 'bert'));
    const old = copied('bert', 'old', (folder) => rmSync(path.join(folder, 'model.safetensors')));
    const renamed = Object.entries(tensors).map(([name, { shape, ...raw }]) => {
      const norm = name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta');
      return [`bert.${norm}`, { dtype: 'BF16' as const, shape, data: toFloat32({ shape, ...raw }) }] as const;
    });
    await writeSafetensors(
      path.join(old, 'model.safetensors'),
      {
        ...Object.fromEntries(renamed),
        'bert.embeddings.position_ids': { dtype: 'I32', shape: [1, 3], data: Int32Array.of(0, 1, 2) },
        'cls.predictions.bias': { dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) },
      },
      { shardBytes: 40_000 },
    );
    const again = await BertModel.fromPretrained(old);
    assert.ok(far(again.sentences(rows)[0], expected) < 2e-2);
    assert.ok(far(again.sentences(rows)[0], expected) > 0);
    again.dispose();
    plain.dispose();
  });

  it('lists everything that does not fit at once', async () => {
    const file = path.join(PARITY, 'bert', 'model.safetensors');
    const tensors = await readSafetensors(file);
    const torn = copied('bert', 'torn');
    const { 'pooler.dense.bias': gone, ...rest } = tensors;
    await writeSafetensors(path.join(torn, 'model.safetensors'), {
      ...rest,
      stranger: gone,
      'encoder.layer.0.output.dense.bias': { dtype: 'F32', shape: [3], data: new Float32Array(3) },
    });
    await assert.rejects(BertModel.fromPretrained(torn), (error: Error) => {
      assert.match(error.message, /missing: pooler\.dense\.bias \[48\]/);
      assert.match(error.message, /unknown: stranger \[48\]/);
      assert.match(error.message, /encoder\.layer\.0\.output\.dense\.bias: expected \[48\], found \[3\]/);
      return true;
    });
    const odd = copied('bert', 'odd', (folder) =>
      changeConfig(folder, { hidden_act: 'gelo', num_attention_heads: 5, position_embedding_type: 'relative_key' }),
    );
    await assert.rejects(BertModel.fromPretrained(odd), (error: Error) => {
      assert.match(error.message, /hidden_act is "gelo", expected one of gelu/);
      assert.match(error.message, /hidden_size 48 is not divisible by num_attention_heads 5/);
      assert.match(error.message, /position_embedding_type is "relative_key"; only "absolute"/);
      return true;
    });
    const other = copied('bert', 'other', (folder) => changeConfig(folder, { model_type: 'roberta' }));
    await assert.rejects(BertModel.fromPretrained(other), /model_type is "roberta", expected "bert" or "ernie"/);
    await assert.rejects(BertModel.fromPretrained(path.join(scratch, 'nowhere')), /config\.json cannot be read/);
    await assert.rejects(
      ErnieModel.fromPretrained(path.join(PARITY, 'bert')),
      /model_type is "bert", expected "ernie"/,
    );
  });

  it('says which token of which row does not fit', () => {
    const model = BertModel.random(TINY, new Rng(4));
    const ernie = ErnieModel.random({ ...TINY, task_types: 3 }, new Rng(4));
    assert.throws(() => model.pooled({ ids: [] }), /no row of tokens/);
    assert.throws(() => model.pooled({ ids: [[1, 2], [3]] }), /token row 1 has 1 entries, expected 2/);
    assert.throws(() => model.pooled({ ids: [[1, 50]] }), /token 50 at row 0, position 1 is outside 0\.\.49/);
    assert.throws(() => model.pooled({ ids: [new Array<number>(17).fill(1)] }), /at most 16 tokens; row 0 has 17/);
    assert.throws(() => model.pooled({ ids: [[1, 2]], mask: [[0, 0]] }), /mask of row 0 shows no token/);
    assert.throws(() => model.pooled({ ids: [[1, 2]], mask: [[1]] }), /mask row 0 has 1 entries, expected 2/);
    assert.throws(() => model.pooled({ ids: [[1]], types: [[2]] }), /token type 2 at row 0, position 0/);
    assert.throws(() => model.pooled({ ids: [[1]], tasks: [[0]] }), /no table of task types/);
    assert.throws(() => ernie.pooled({ ids: [[1]], tasks: [[3]] }), /ernie: task type 3 at row 0/);
    const [a, b] = [0, 2].map((task) => ernie.sentences({ ids: [[1]], tasks: [[task]] })[0]);
    assert.ok(far(a, b) > 1e-4);
    model.dispose();
    ernie.dispose();
  });

  it('has the sizes of the published models', () => {
    const count = (config: BertConfig) => parameterCount(new BertNetwork({ ...config, pooler: true }));
    assert.equal(count(BERT_BASE), 109_482_240);
    assert.equal(count(MINILM_L6), 22_713_216);
  });
});

describe('sentences', () => {
  it('embeds texts by the files of a folder: vocabulary, pooling, longest row', async () => {
    const words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a', 'red', 'ball', 'dog', '##s', '.'];
    const vocabulary = [...words, ...Array.from({ length: 150 - words.length }, (_, i) => `[unused${i}]`)];
    const folder = copied('bert', 'sentences', (place) =>
      writeFileSync(path.join(place, 'vocab.txt'), vocabulary.join('\n')),
    );
    const mean = await SentenceEncoder.fromPretrained(folder);
    assert.deepEqual([mean.name, mean.size, mean.pooling, mean.maxTokens], ['sentences', 48, 'mean', 48]);
    const kept = tf.memory().numTensors;
    const [one, two, three] = await mean.embed(['A red ball.', 'dogs dogs dogs dogs', 'a red ball .']);
    assert.equal(tf.memory().numTensors, kept);
    assert.ok(far(one, three) < 1e-5 && far(one, two) > 1e-2);
    const [alone] = mean.model.sentences({ ids: [[2, 5, 6, 7, 10, 3]] });
    assert.ok(far(one, alone) < 1e-5);

    cpSync(path.join(PARITY, 'bert', 'config.json'), path.join(folder, '1_Pooling', 'config.json'));
    const note = (pooling: object) =>
      writeFileSync(path.join(folder, '1_Pooling', 'config.json'), JSON.stringify(pooling));
    note({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false });
    writeFileSync(path.join(folder, 'sentence_bert_config.json'), '{ "max_seq_length": 4, "do_lower_case": false }');
    const first = await SentenceEncoder.fromPretrained(folder, { name: 'tiny' });
    assert.deepEqual([first.name, first.pooling, first.maxTokens], ['tiny', 'cls', 4]);
    assert.ok(far((await first.embed(['a red ball.']))[0], (await first.embed(['a red dog']))[0]) < 1e-5); // cut alike
    note({ pooling_mode_max_tokens: true });
    await assert.rejects(SentenceEncoder.fromPretrained(folder), /pooling_mode_max_tokens is true; only false/);
    mean.dispose();
    first.dispose();
  });
});
