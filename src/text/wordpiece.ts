/**
 * WordPiece tokens as BERT's models read them (Devlin et al. 2019), from a folder's `tokenizer.json`, or from the
 * `vocab.txt` that older models have alone.
 */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { lowerCasingByLetters } from './lower-case';

/** What is used of the library's class. */
interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
  get_vocab(withAddedTokens: boolean): Map<string, number>;
}

// The package has a CommonJS build, but its types describe the ES module only.
const { Tokenizer } = require('@huggingface/tokenizers') as {
  Tokenizer: new (json: object, config: object) => HuggingFaceTokenizer;
};

/** A tokenizer folder that cannot be used: the file, and what is wrong with it. */
export class WordPieceError extends Error {
  override readonly name = 'WordPieceError';
}

/** Text to token numbers and back. */
export interface WordPiece {
  /**
   * `[CLS]`, the text's pieces, `[SEP]`.
   * @param maxTokens longest row, the two included; what is beyond is cut. Default: no limit
   * @throws RangeError for a limit below 2
   */
  encode(text: string, maxTokens?: number): number[];
  /** Text of token numbers; special tokens are left out. */
  decode(ids: readonly number[]): string;
  readonly padId: number;
  /** Number of tokens, added ones included. */
  readonly vocabularySize: number;
}

type Json = Record<string, unknown>;

/** Han characters beyond the first 65,536: each is a word, which the library sees for the others alone. */
const FAR_HAN = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/**
 * The tokenizer of a folder: `tokenizer.json`, else `vocab.txt` with `do_lower_case` (and relatives) of
 * `tokenizer_config.json`, lower case by default.
 * @throws WordPieceError naming the file that is missing or no WordPiece tokenizer
 */
export async function loadWordPiece(folder: string): Promise<WordPiece> {
  const config = (await readJson(path.join(folder, 'tokenizer_config.json'))) ?? {};
  const file = path.join(folder, 'tokenizer.json');
  const json = (await readJson(file)) ?? (await fromVocabulary(folder, config));
  const model = (json.model ?? {}) as Json;
  // The oldest files name no type.
  const type = model.type ?? ('continuing_subword_prefix' in model ? 'WordPiece' : undefined);
  if (type !== 'WordPiece')
    throw new WordPieceError(`${file}: the model is ${JSON.stringify(type)}, expected "WordPiece"`);
  const whole = { ...json, model: { ...model, type }, padding: null, truncation: null };
  const tokenizer = new Tokenizer(lowerCasingByLetters(whole), config);
  const special = (token: string): number => {
    const id = tokenizer.token_to_id(token);
    if (id === undefined) throw new WordPieceError(`${folder}: the vocabulary has no ${token}`);
    return id;
  };
  const [padId, first, last] = ['[PAD]', '[CLS]', '[SEP]'].map(special);
  const splitsHan = (json.normalizer as { handle_chinese_chars?: unknown } | null)?.handle_chinese_chars === true;
  const pieces = (text: string): number[] =>
    text === '' ? [] : tokenizer.encode(text, { add_special_tokens: false }).ids;
  return {
    padId,
    vocabularySize: tokenizer.get_vocab(true).size,
    encode(text, maxTokens = Infinity) {
      if (!(maxTokens >= 2)) throw new RangeError(`a row needs at least 2 tokens, [CLS] and [SEP]; got ${maxTokens}`);
      const ids = pieces(splitsHan ? text.replace(FAR_HAN, ' $& ') : text);
      return [first, ...ids.slice(0, maxTokens - 2), last];
    },
    decode(ids) {
      return ids.length === 0 ? '' : tokenizer.decode([...ids], { skip_special_tokens: true }).trim();
    },
  };
}

/** What transformers makes of a bare vocabulary. */
async function fromVocabulary(folder: string, config: Json): Promise<Json> {
  const file = path.join(folder, 'vocab.txt');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new WordPieceError(
      `${folder} has neither tokenizer.json nor vocab.txt: nothing says how text becomes tokens`,
    );
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const specials = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].filter((token) => lines.includes(token));
  const flag = (name: string, value: unknown) => (typeof config[name] === 'boolean' ? config[name] : value);
  return {
    version: '1.0',
    added_tokens: specials.map((content) => ({
      id: lines.indexOf(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: flag('tokenize_chinese_chars', true),
      strip_accents: flag('strip_accents', null),
      lowercase: flag('do_lower_case', true),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(lines.map((token, id) => [token, id])),
    },
  };
}

/** Undefined when the file is not there. */
async function readJson(file: string): Promise<Json | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json;
    throw new Error('expected an object');
  } catch (error) {
    throw new WordPieceError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
