import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { ClipTokenizer } from '../../src/text/clip-bpe';
import { cleanCaption } from '../../src/text/clip-cleaning';

const LIST = path.join(__dirname, '..', 'parity', 'clip_bpe', 'bpe_simple_vocab_16e6.txt.gz');

describe("CLIP's tokenizer", () => {
  let tokenizer: ClipTokenizer;
  before(async () => {
    tokenizer = await ClipTokenizer.fromPretrained(LIST);
  });

  it('gives back every word in lower case, whatever it is made of', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
        const ids = tokenizer.encode(text);
        assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 49406));
        // Decoding puts spaces between words; beyond that nothing is lost.
        const bare = (s: string): string => s.replace(/\s/g, '');
        assert.equal(bare(tokenizer.decode(ids)), bare(cleanCaption(text)));
      }),
      { numRuns: 200 },
    );
  });

  it('frames a text, and cuts what is too long before the end token', () => {
    assert.deepEqual(tokenizer.context('a photo of a cat').ids, [49406, 320, 1125, 539, 320, 2368, 49407]);
    const { ids, truncated } = tokenizer.context('cat '.repeat(100), 10);
    assert.deepEqual([ids.length, ids[0], ids[8], ids[9], truncated], [10, 49406, 2368, 49407, true]);
    assert.deepEqual(tokenizer.context('', 2), { ids: [49406, 49407], truncated: false });
    assert.throws(() => tokenizer.context('a', 1), /a context of 1 tokens/);
  });

  it("takes open_clip's special tokens for what they are, but not inside punctuation", () => {
    assert.deepEqual(tokenizer.encode('a<end_of_text>cat'), [320, 49407, 2368]);
    assert.deepEqual(tokenizer.encode('<START_OF_TEXT>'), [49406]);
    assert.ok(!tokenizer.encode('!<end_of_text>').includes(49407));
  });

  it('refuses numbers that stand for nothing', () => {
    assert.throws(() => tokenizer.decode([49408]), /token 49408 is outside the vocabulary of 49408/);
    assert.equal(tokenizer.decode([]), '');
  });

  it('is the same from vocab.json and merges.txt, and names what is broken', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'unilab-bpe-'));
    const at = (name: string): string => path.join(folder, name);
    await assert.rejects(ClipTokenizer.fromPretrained(folder), /holds no CLIP vocabulary/);
    await assert.rejects(ClipTokenizer.fromPretrained(at('nothing')), /no such file or folder/);
    const lines = gunzipSync(readFileSync(LIST)).toString('utf8').split('\n');
    await writeFile(at('short.txt'), lines.slice(0, 50).join('\n'));
    await assert.rejects(ClipTokenizer.fromPretrained(at('short.txt')), /short.txt has 49 merges/);
    await writeFile(at('broken.txt'), ['#', 'a b', 'c'].join('\n'));
    await assert.rejects(ClipTokenizer.fromPretrained(at('broken.txt')), /merge 2 is 'c', expected two parts/);

    const vocab = Object.fromEntries(
      ['l', 'o', 'w', 'l</w>', 'o</w>', 'w</w>', 'lo', 'low</w>', '<|startoftext|>', '<|endoftext|>'].map((t, i) => [
        t,
        i,
      ]),
    );
    await writeFile(at('vocab.json'), JSON.stringify(vocab));
    await writeFile(at('merges.txt'), '#version: 0.2\nl o\nlo w</w>\n');
    const small = await ClipTokenizer.fromPretrained(folder);
    assert.deepEqual(small.context('LOW ol').ids, [8, 7, 1, 3, 9]);
    assert.equal(small.decode([7, 1, 3]), 'low ol ');
    await writeFile(at('vocab.json'), JSON.stringify({ l: 0 }));
    await assert.rejects(ClipTokenizer.fromPretrained(folder), /is no CLIP vocabulary: it has no <\|startoftext\|>/);
    await rm(folder, { recursive: true });
  });
});

describe('captions', () => {
  it('are mended, resolved, joined and lowered', () => {
    const cases: Record<string, string> = {
      '  Two\n\twords\u3000here ': 'two words here',
      '\u201cquoted\u201d \u2018so\u2019': '"quoted" \'so\'',
      '\ufb01ne \uff28\uff29 \uff76': 'fine hi \u30ab',
      'AT&amp;amp;T &lt;b&gt; &#39;s': "at&t <b> 's",
      'P&EACUTE;REZ &nbsp; &unknown;': 'p\u00e9rez &unknown;',
      'a\u0007b\ufeffc\u0000': 'abc',
      'e\u0301': '\u00e9',
      'curl\u0093y': 'curl"y',
      '\u001b[31mred\u001b[0m': 'red',
      '\ud800x': '\ufffdx',
    };
    for (const [text, clean] of Object.entries(cases)) assert.equal(cleanCaption(text), clean, JSON.stringify(text));
  });

  it('stay as they are once they are clean', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        const clean = cleanCaption(text);
        assert.equal(clean, clean.trim());
        assert.doesNotMatch(clean, /\s\s/);
        // References inside references are resolved level by level, so only a text without any is at rest.
        if (!clean.includes('&')) assert.equal(cleanCaption(clean), clean);
      }),
      { numRuns: 300 },
    );
  });
});
