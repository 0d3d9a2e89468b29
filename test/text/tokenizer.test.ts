import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { tokenizerJson, vocabulary } from '../../src/miniworld';
import { loadTokenizer, MINI_WORLD_TOKENIZER } from '../../src/text';

it('the shipped file is the one the word list makes', () => {
  assert.deepEqual(JSON.parse(readFileSync(MINI_WORLD_TOKENIZER, 'utf8')), tokenizerJson());
  assert.equal(loadTokenizer().vocabularySize, vocabulary().length);
  assert.ok(vocabulary().length <= 300);
});

it('every token comes back, <sks> as one', () => {
  const tokenizer = loadTokenizer();
  for (const [id, word] of vocabulary().entries()) {
    assert.equal(tokenizer.idOf(word), id);
    assert.deepEqual(tokenizer.encode(word), [id]);
  }
  assert.equal(tokenizer.encode('a photo of <sks> .').length, 5);
  assert.equal(tokenizer.decode(tokenizer.encode('a photo of <sks> .')), 'a photo of <sks> .');
});

it('an empty answer is an empty text', () => {
  const tokenizer = loadTokenizer();
  assert.equal(tokenizer.decode([]), '');
  assert.deepEqual(tokenizer.encode(''), []);
});

it('unknown words: an error that names them, or [UNK]', () => {
  assert.throws(() => loadTokenizer().encode('a red zeppelin'), /'zeppelin'/);
  const lenient = loadTokenizer(undefined, { unknown: 'unk' });
  assert.equal(lenient.encode('a red zeppelin')[2], lenient.unknownId);
  assert.throws(() => loadTokenizer().decode([1e6]), /1000000/);
});

it('a missing or malformed file is named', () => {
  assert.throws(() => loadTokenizer('/nowhere/tokenizer.json'), /\/nowhere\/tokenizer\.json/);
  const folder = mkdtempSync(path.join(tmpdir(), 'unilab-'));
  try {
    const file = path.join(folder, 'tokenizer.json');
    writeFileSync(file, '{}');
    assert.throws(() => loadTokenizer(file), /'model' is missing/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
