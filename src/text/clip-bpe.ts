/**
 * CLIP's byte-pair tokenizer (Radford et al. 2021): 49,408 tokens, words end in `</w>`. The cutting is done by
 * `@huggingface/tokenizers`; here are the file formats that the vocabulary comes in, the cleaning, and the frame.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { cleanCaption } from './clip-cleaning';
import { lowerCasingByLetters } from './lower-case';

/** What is used of the library's class. */
interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_vocab(withAddedTokens: boolean): Map<string, number>;
}

// The package has a CommonJS build, but its types describe the ES module only.
const { Tokenizer } = require('@huggingface/tokenizers') as {
  Tokenizer: new (json: object, config: object) => HuggingFaceTokenizer;
};

/** Tokens of a text between begin and end. */
export interface ClipContext {
  readonly ids: number[];
  /** True when the text was longer and its rest is not seen. */
  readonly truncated: boolean;
}

/** How OpenAI's vocabulary is cut: contractions, letters, single digits, everything else but white space. */
const WORDS = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

/** OpenAI's file, packed and not. */
const LISTS = ['bpe_simple_vocab_16e6.txt.gz', 'bpe_simple_vocab_16e6.txt'];

/** Merges in use; the published list is longer. */
const MERGES = 49152 - 256 - 2;

/** The special tokens as transformers and as open_clip write them in a text. */
const NAMES = {
  transformers: ['<|startoftext|>', '<|endoftext|>'],
  openClip: ['<start_of_text>', '<end_of_text>'],
} as const;

export class ClipTokenizer {
  /** Number of the token that begins a text. */
  readonly begin: number;
  /** Number of the token that ends a text, whose state is the text's feature. */
  readonly end: number;
  readonly vocabularySize: number;

  private constructor(
    private readonly library: HuggingFaceTokenizer,
    special: readonly [string, string],
    where: string,
    private readonly cleans: boolean,
  ) {
    const [begin, end] = special.map((token) => library.token_to_id(token));
    if (begin === undefined || end === undefined)
      throw new Error(`${where} is no CLIP vocabulary: it has no ${special.join(' and ')}`);
    this.begin = begin;
    this.end = end;
    this.vocabularySize = library.get_vocab(true).size;
  }

  /**
   * Reads OpenAI's `bpe_simple_vocab_16e6.txt`, packed (`.gz`) or not, or a model's folder with `tokenizer.json`, with
   * `vocab.json` and `merges.txt`, or with OpenAI's file. A `tokenizer.json` brings its own cleaning; for the others
   * it is {@link cleanCaption}.
   * @throws Error naming the file that is missing or no CLIP vocabulary
   */
  static async fromPretrained(folderOrFile: string): Promise<ClipTokenizer> {
    const info = await stat(folderOrFile).catch(() => undefined);
    if (!info) throw new Error(`${folderOrFile}: there is no such file or folder with a CLIP vocabulary`);
    if (!info.isDirectory()) return fromList(folderOrFile);
    const found = await ClipTokenizer.find(folderOrFile);
    if (found) return found;
    throw new Error(
      `${folderOrFile} holds no CLIP vocabulary: neither tokenizer.json, nor vocab.json with merges.txt, nor ${LISTS.join(' or ')}`,
    );
  }

  /** As {@link ClipTokenizer.fromPretrained} for a folder, but undefined where it holds no vocabulary. */
  static async find(folder: string): Promise<ClipTokenizer | undefined> {
    const names = await readdir(folder);
    if (names.includes('tokenizer.json')) return fromTokenizerJson(path.join(folder, 'tokenizer.json'));
    if (names.includes('vocab.json') && names.includes('merges.txt')) return fromVocabulary(folder);
    const list = LISTS.find((name) => names.includes(name));
    return list === undefined ? undefined : fromList(path.join(folder, list));
  }

  /** Around a `tokenizer.json` that was read or made. @param cleans whether {@link cleanCaption} comes first @throws Error for what is no CLIP tokenizer */
  static of(json: object, special: readonly [string, string], where: string, cleans: boolean): ClipTokenizer {
    let library: HuggingFaceTokenizer;
    try {
      library = new Tokenizer(lowerCasingByLetters(json), {
        unk_token: special[1],
        clean_up_tokenization_spaces: false,
      });
    } catch (error) {
      throw new Error(`${where} is no tokenizer: ${(error as Error).message}`, { cause: error });
    }
    return new ClipTokenizer(library, special, where, cleans);
  }

  /** Token numbers of a text, no begin and end added; an empty text has none. */
  encode(text: string): number[] {
    const clean = this.cleans ? cleanCaption(text) : text;
    return this.cleans ? pieces(clean).flatMap((piece) => this.cut(piece)) : this.cut(clean);
  }

  /**
   * The text between begin and end, as the text tower takes it (not padded).
   * @param length most tokens, begin and end included; default 77. What is too long is cut, the end stays
   * @throws RangeError for a length below 2
   */
  context(text: string, length = 77): ClipContext {
    if (!Number.isInteger(length) || length < 2) throw new RangeError(`a context of ${length} tokens holds no text`);
    const ids = this.encode(text);
    const truncated = ids.length + 2 > length;
    return { ids: [this.begin, ...ids.slice(0, length - 2), this.end], truncated };
  }

  /** The text of token numbers, a space after every word. @throws RangeError for a number outside the vocabulary */
  decode(ids: readonly number[]): string {
    for (const id of ids)
      if (this.library.id_to_token(id) === undefined)
        throw new RangeError(`token ${id} is outside the vocabulary of ${this.vocabularySize}`);
    return ids.length > 0 ? this.library.decode([...ids], { skip_special_tokens: false }) : '';
  }

  private cut(piece: string): number[] {
    const [begin, end] = NAMES.openClip;
    if (this.cleans && piece === begin) return [this.begin];
    if (this.cleans && piece === end) return [this.end];
    return piece === '' ? [] : this.library.encode(piece, { add_special_tokens: false }).ids;
  }
}

/** Cuts out open_clip's special tokens, where its own expression would: not behind other punctuation. */
function pieces(text: string): string[] {
  const special: readonly string[] = NAMES.openClip;
  if (!special.some((token) => text.includes(token))) return [text];
  const out: string[] = [];
  let from = 0;
  for (const match of text.matchAll(new RegExp(`${special.join('|')}|${WORDS}`, 'gu'))) {
    if (!special.includes(match[0])) continue;
    out.push(text.slice(from, match.index), match[0]);
    from = match.index + match[0].length;
  }
  return [...out, text.slice(from)];
}

async function fromTokenizerJson(file: string): Promise<ClipTokenizer> {
  const json = parse(await readFile(file, 'utf8'), file);
  if (!('model' in json)) throw new Error(`${file} is no tokenizer.json: the field 'model' is missing`);
  return ClipTokenizer.of(json, NAMES.transformers, file, false);
}

async function fromVocabulary(folder: string): Promise<ClipTokenizer> {
  const file = path.join(folder, 'vocab.json');
  const vocab = parse(await readFile(file, 'utf8'), file) as Record<string, number>;
  const lines = (await readFile(path.join(folder, 'merges.txt'), 'utf8')).split('\n');
  const pairs = lines.filter((line) => line !== '' && !line.startsWith('#version'));
  const merges = mergesOf(pairs, folder);
  return ClipTokenizer.of(tokenizerJson(vocab, merges), NAMES.transformers, file, true);
}

async function fromList(file: string): Promise<ClipTokenizer> {
  const bytes = await readFile(file);
  let text: string;
  try {
    text = (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString('utf8');
  } catch (error) {
    throw new Error(`${file} cannot be unpacked: ${(error as Error).message}`, { cause: error });
  }
  // The first line is a header.
  const merges = mergesOf(text.split('\n').slice(1, 1 + MERGES), file);
  if (merges.length < MERGES) throw new Error(`${file} has ${merges.length} merges, CLIP's vocabulary ${MERGES}`);
  const letters = byteLetters();
  const tokens = [
    ...letters,
    ...letters.map((letter) => `${letter}</w>`),
    ...merges.map((pair) => pair.join('')),
    ...NAMES.transformers,
  ];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return ClipTokenizer.of(tokenizerJson(vocab, merges), NAMES.transformers, file, true);
}

function mergesOf(lines: readonly string[], where: string): [string, string][] {
  return lines.map((line, i) => {
    const parts = line.trimEnd().split(' ');
    if (parts.length !== 2 || parts.includes(''))
      throw new Error(`${where}: merge ${i + 1} is '${line}', expected two parts`);
    return parts as [string, string];
  });
}

function parse(text: string, file: string): object {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json;
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new Error(`${file} holds no JSON object`);
}

/** The 256 bytes as visible characters, in the order of the vocabulary: printable ones as they are, the others behind. */
function byteLetters(): string[] {
  const isVisible = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const visible = bytes.filter(isVisible);
  const hidden = bytes.filter((byte) => !isVisible(byte));
  return [...visible, ...hidden.map((_, i) => 256 + i)].map((code) => String.fromCharCode(code));
}

/** The library's own format, around a vocabulary. */
function tokenizerJson(
  vocab: Readonly<Record<string, number>>,
  merges: readonly (readonly [string, string])[],
): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    // Cleaned text is cut as it stands: what looks like a special token in it is text.
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: WORDS }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: NAMES.transformers[1],
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      fuse_unk: false,
      vocab,
      merges,
    },
  };
}
