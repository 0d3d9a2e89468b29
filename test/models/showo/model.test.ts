import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { startEngine, Rng, tf } from '../../../src/engine';
import { ConceptTokens } from '../../../src/models/showo/concept-tokens';
import { ShowoModel } from '../../../src/models/showo/model';
import { ShowoConfigError } from '../../../src/models/showo/config';
import { meanWith } from '../../../src/models/showo/mean';
import { causalMask, textToImageMask } from '../../../src/models/showo/masks';
import { conditionTokens, textToImageIds } from '../../../src/models/showo/layout';
import { showoFixture } from './fixture';

let model: ShowoModel;

before(async () => {
  await startEngine({ precision: 'float32' });
  ({ model } = await showoFixture());
});

const folder = () => mkdtempSync(path.join(tmpdir(), 'unilab-showo-'));

test('saved and loaded again: bit for bit in F32, to bf16 rounding in BF16', async () => {
  for (const [dtype, tolerance] of [
    ['F32', 0],
    ['BF16', 1 / 256],
  ] as const) {
    // prettier-ignore
    const place = folder();
    await model.save(place, dtype);
    const again = await ShowoModel.fromPretrained(place);
    assert.deepEqual(again.config, { ...model.config });
    const [old, fresh] = [await model.parameters.values(), await again.parameters.values()];
    for (const name of Object.keys(old)) {
      old[name].data.forEach((value, i) =>
        assert.ok(Math.abs(value - fresh[name].data[i]) <= tolerance * Math.abs(value), `${name}[${i}]`),
      );
    }
    again.dispose();
  }
});

test('a transformer above a size goes into several files, and comes back whole', async () => {
  const place = folder();
  await model.savePretrained(place, { dtype: 'F32', shardBytes: 40_000 });
  const files = readdirSync(place);
  assert.ok(files.filter((file) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(file)).length > 1, files.join());
  const again = await ShowoModel.fromPretrained(place);
  assert.deepEqual(await again.parameters.values(), await model.parameters.values());
  again.dispose();
});

test('what is wrong with a checkpoint is said, with the file', async () => {
  const place = folder();
  await assert.rejects(
    () => ShowoModel.fromPretrained(path.join(place, 'nowhere')),
    /config\.json cannot be read as a Show-o checkpoint/,
  );
  await model.save(place, 'F32');
  truncateSync(path.join(place, 'model.safetensors'), 5000);
  await assert.rejects(() => ShowoModel.fromPretrained(place), /model\.safetensors/);
  await model.save(place, 'F32');
  const file = path.join(place, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as { transformer: Record<string, unknown>; model_type: string };
  writeFileSync(file, JSON.stringify({ ...config, transformer: { ...config.transformer, num_hidden_layers: 3 } }));
  await assert.rejects(
    () => ShowoModel.fromPretrained(place),
    /does not fit[\s\S]*missing: showo\.model\.layers\.2\.input_layernorm\.bias/,
  );
  writeFileSync(file, JSON.stringify({ ...config, transformer: { ...config.transformer, num_attention_heads: 5 } }));
  await assert.rejects(() => ShowoModel.fromPretrained(place), ShowoConfigError);
  writeFileSync(file, JSON.stringify({ ...config, model_type: 'janus' }));
  await assert.rejects(() => ShowoModel.fromPretrained(place), /model_type is "janus", expected "showo"/);
});

test('concept tokens: expanded once, their rows reach the images and get a gradient', () => {
  const tokens = ConceptTokens.create(model, 50, 51, { understanding: 2, generation: 1 }, new Rng(4));
  const first = model.vocabulary.size;
  assert.deepEqual(tokens.expand([7, 50, 8, 50]), [7, first, first + 1, first + 2, first + 3, 8, first + 3]);
  assert.deepEqual(tokens.asAnswer([50, 3]), [first + 3, 3]);
  const codes = new Int32Array(model.config.num_vq_tokens).fill(-1);
  const row = (text: number[]) => textToImageIds(model.config, conditionTokens(model.config, text), codes);
  const rows = [row(tokens.expand([50, 3]))];
  const { value, grads } = tf.variableGrads(() => {
    const hidden = model.hidden(rows, rows.map((r) => textToImageMask(r, model.vocabulary)), model.parameters, tokens); // prettier-ignore
    return tf.sum<tf.Scalar>(tf.square(hidden));
  }, [tokens.variables.embed]);
  const size = tf.tidy(() => tf.sum(tf.abs(grads[tokens.variables.embed.name]), 1).arraySync() as number[]);
  assert.ok(size.every((g) => g > 0), `every token of the prompt gets a gradient: ${size}`); // prettier-ignore
  tf.dispose([value, grads]);
  tokens.dispose();
});

test('a mask of the wrong size is an error with both shapes', () => {
  assert.throws(() => model.hidden([[1, 2, 3]], [causalMask(2)]), /mask 0 has 4 entries, expected 3 x 3/);
});

test('the mean of two models has the mean of their weights', async () => {
  const own = await model.parameters.values();
  const scaled = Object.fromEntries(Object.entries(own).map(([name, v]) => [name, { ...v, data: v.data.map((x) => 3 * x) }])); // prettier-ignore
  const mean = await meanWith(model, scaled);
  const found = await mean.parameters.values();
  for (const name of Object.keys(own))
    own[name].data.forEach((value, i) =>
      assert.ok(Math.abs(found[name].data[i] - 2 * value) <= 1e-6 * Math.abs(value)),
    );
  const [first, ...others] = Object.entries(own);
  await assert.rejects(meanWith(model, Object.fromEntries(others)), new RegExp(first[0].replaceAll('.', '\\.')));
  mean.parameters.dispose();
});
