import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { startEngine } from '../../../src/engine';
import { ShowoModel } from '../../../src/models/showo/model';
import { ShowoConfigError } from '../../../src/models/showo/config';
import { meanWith } from '../../../src/miniworld/curricula/showo-mean';
import { causalMask } from '../../../src/models/showo/masks';
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
    const place = folder();
    await model.savePretrained(place, { dtype });
    const again = await ShowoModel.fromPretrained(place);
    assert.deepEqual(again.config, { ...model.config });
    const [old, fresh] = [await model.store.values(), await again.store.values()];
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
  assert.deepEqual(await again.store.values(), await model.store.values());
  again.dispose();
});

test('what is wrong with a checkpoint is said, with the file', async () => {
  const place = folder();
  await assert.rejects(
    () => ShowoModel.fromPretrained(path.join(place, 'nowhere')),
    /config\.json cannot be read as a Show-o checkpoint/,
  );
  await model.savePretrained(place, { dtype: 'F32' });
  truncateSync(path.join(place, 'model.safetensors'), 5000);
  await assert.rejects(() => ShowoModel.fromPretrained(place), /model\.safetensors/);
  await model.savePretrained(place, { dtype: 'F32' });
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

test('a mask of the wrong size is an error with both shapes', () => {
  assert.throws(() => model.network.inputs([[1, 2, 3]], [causalMask(2)]), /mask 0 has 4 entries, expected 3 x 3/);
});

test('the mean of two models has the mean of their weights', async () => {
  const own = await model.store.values();
  const scaled = Object.fromEntries(
    Object.entries(own).map(([name, v]) => [name, { ...v, data: v.data.map((x) => 3 * x) }]),
  );
  const mean = await meanWith(model, scaled);
  const found = await mean.store.values();
  for (const name of Object.keys(own))
    own[name].data.forEach((value, i) =>
      assert.ok(Math.abs(found[name].data[i] - 2 * value) <= 1e-6 * Math.abs(value)),
    );
  const [first, ...others] = Object.entries(own);
  await assert.rejects(meanWith(model, Object.fromEntries(others)), new RegExp(first[0].replaceAll('.', '\\.')));
  mean.store.dispose();
});
