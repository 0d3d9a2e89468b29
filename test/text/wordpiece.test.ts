import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadWordPiece } from '../../src/text/wordpiece';

/** Strings and what transformers' BERT tokenizer makes of them, with a vocabulary of 260 pieces. */
interface Cases {
  readonly texts: string[];
  readonly settings: Record<string, { config: object; ids: number[][]; decoded: string[] }>;
}

const FIXTURE = path.join(__dirname, 'wordpiece');
const cases = JSON.parse(readFileSync(path.join(FIXTURE, 'cases.json'), 'utf8')) as Cases;

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'unilab-wordpiece-'));
  copyFileSync(path.join(FIXTURE, 'vocab.txt'), path.join(folder, 'vocab.txt'));
});
after(() => rmSync(folder, { recursive: true }));

describe('WordPiece', () => {
  for (const [name, { config, ids, decoded }] of Object.entries(cases.settings)) {
    it(`gives upstream's tokens: ${name}`, async () => {
      writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config));
      const tokenizer = await loadWordPiece(folder);
      cases.texts.forEach((text, i) => assert.deepEqual(tokenizer.encode(text), ids[i], JSON.stringify(text)));
      // Upstream leaves the spaces before apostrophes; they are no part of a sentence.
      const plain = (text: string) => text.replace(/ ' /g, "'").replace(/ '/g, "'").trim();
      decoded.forEach((text, i) => assert.equal(plain(tokenizer.decode(ids[i])), plain(text)));
    });
  }

  it('cuts long texts before the last token', async () => {
    const tokenizer = await loadWordPiece(folder);
    const whole = tokenizer.encode('a red ball on the table');
    assert.deepEqual(tokenizer.encode('a red ball on the table', 5), [...whole.slice(0, 4), whole[whole.length - 1]]);
    assert.equal(tokenizer.encode('', 2).length, 2);
    assert.throws(() => tokenizer.encode('a', 1), /at least 2 tokens/);
    assert.equal(tokenizer.decode([]), '');
  });

  it('says which file is missing or wrong', async () => {
    await assert.rejects(loadWordPiece(path.join(folder, 'nowhere')), /neither tokenizer\.json nor vocab\.txt/);
    const file = path.join(folder, 'tokenizer.json');
    writeFileSync(file, '{"model": {"type": "BPE"}}');
    await assert.rejects(loadWordPiece(folder), /tokenizer\.json: the model is "BPE", expected "WordPiece"/);
    writeFileSync(file, '{"model":');
    await assert.rejects(loadWordPiece(folder), /tokenizer\.json cannot be read/);
    rmSync(file);
    writeFileSync(path.join(folder, 'vocab.txt'), '[PAD]\n[UNK]\n[SEP]\na\n');
    await assert.rejects(loadWordPiece(folder), /the vocabulary has no \[CLS\]/);
  });
});
