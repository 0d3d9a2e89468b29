#!/usr/bin/env node
// Lower-casing of a final sigma: JavaScript gives the final form (ς), the reference tokenizers, letter by letter, the plain
// one (σ). A tokenizer.json of CLIP's kind with the two as tokens is enough to tell; a vocab.txt, of BERT's.
const { library, check, main } = require('./lib/library.cjs');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

main(async () => {
  // All bytes as characters (as byte-level BPE writes them), alone and at the end of a word.
  const bytes = [...Array(94).keys()]
    .map((i) => i + 33)
    .concat(
      [...Array(12).keys()].map((i) => i + 161),
      [...Array(82).keys()].map((i) => i + 174),
    );
  const chars = bytes.map((b) => String.fromCodePoint(b));
  for (let b = 0, n = 0; b < 256; b++) if (!bytes.includes(b)) chars.push(String.fromCodePoint(256 + n++));
  const tokens = [...chars, ...chars.map((c) => `${c}</w>`), 'Ïĥ</w>', 'ÏĤ</w>', '<|startoftext|>', '<|endoftext|>'];
  const vocab = Object.fromEntries(tokens.map((token, i) => [token, i]));
  const special = ['<|startoftext|>', '<|endoftext|>'].map((content) => ({
    id: vocab[content],
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: true,
    special: true,
  }));
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
          behavior: 'Removed',
          invert: true,
        },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['<|endoftext|>', vocab['<|endoftext|>']],
      cls: ['<|startoftext|>', vocab['<|startoftext|>']],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<|endoftext|>',
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      fuse_unk: false,
      vocab,
      merges: ['Ï ĥ</w>', 'Ï Ĥ</w>'],
    },
  };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'case-'));
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(json));
  fs.writeFileSync(
    path.join(folder, 'tokenizer_config.json'),
    JSON.stringify({
      tokenizer_class: 'CLIPTokenizer',
      model_max_length: 77,
      bos_token: '<|startoftext|>',
      eos_token: '<|endoftext|>',
      pad_token: '<|endoftext|>',
      unk_token: '<|endoftext|>',
    }),
  );
  const tokenizer = await library().text.ClipTokenizer.fromPretrained(folder);
  const names = [...tokenizer.encode('ΟΣ')].map((id) => tokens[id]);
  const last = names.filter((n) => !n.startsWith('<|')).at(-1);
  check(
    'the last letter of ΟΣ is tokenized as σ, as the reference does',
    last === 'Ïĥ</w>',
    `${names.join(' ')} (ÏĤ is ς)`,
  );
  fs.writeFileSync(
    path.join(folder, 'vocab.txt'),
    ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'ος', 'οσ'].join('\n'),
  );
  fs.rmSync(path.join(folder, 'tokenizer.json'));
  fs.writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify({ do_lower_case: true }));
  const ids = (await library().text.loadWordPiece(folder)).encode('ΟΣ');
  check("so it is by BERT's tokenizer", ids.join() === '2,6,3', ids);
  fs.rmSync(folder, { recursive: true });
});
