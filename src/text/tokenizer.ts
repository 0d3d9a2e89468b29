/** A word tokenizer read from a Hugging Face `tokenizer.json`. */
import { readFileSync } from 'node:fs';
import { dataFolder } from '../io/package-root';
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

/** `tokenizer.json` of the mini world. */
export const MINI_WORLD_TOKENIZER = dataFolder('mini-world', 'tokenizer.json');

export interface TokenizerOptions {
  /** What to do with a word that the vocabulary lacks: throw (default), or use `[UNK]`. */
  readonly unknown?: 'error' | 'unk';
}

/** A text has words that the vocabulary lacks. */
export class UnknownWordsError extends Error {
  override readonly name = 'UnknownWordsError';
  constructor(
    readonly words: readonly string[],
    text: string,
    vocabularySize: number,
  ) {
    super(
      `the vocabulary of ${vocabularySize} words has no ${words.map((word) => `'${word}'`).join(', ')} (in '${text.slice(0, 80)}'); words are lower case with spaces between, punctuation too`,
    );
  }
}

/** Text to token numbers and back. */
export interface TextTokenizer {
  /** @returns token numbers, no special tokens added @throws UnknownWordsError unless `unknown: 'unk'` */
  encode(text: string): number[];
  /** @returns words between single spaces; `[PAD]`, `[BOS]`, `[EOS]`, `[SEP]` are left out @throws RangeError for a number outside the vocabulary */
  decode(ids: readonly number[]): string;
  /** Number of a token, or undefined. */
  idOf(token: string): number | undefined;
  /** Token of a number, or undefined. */
  tokenOf(id: number): string | undefined;
  /** Number of tokens, special ones included. */
  readonly vocabularySize: number;
  readonly unknownId: number | undefined;
  readonly padId: number | undefined;
  /** The `tokenizer.json` that it was read from, to be saved with a model. */
  readonly json: object;
}

/**
 * Loads a tokenizer.
 * @param file a `tokenizer.json`; default: the mini world's
 * @throws Error when the file is missing or no tokenizer
 */
export function loadTokenizer(file: string = MINI_WORLD_TOKENIZER, options: TokenizerOptions = {}): TextTokenizer {
  let json: object;
  try {
    json = JSON.parse(readFileSync(file, 'utf8')) as object;
  } catch (error) {
    throw new Error(
      `the tokenizer ${file} could not be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (typeof json !== 'object' || json === null || !('model' in json)) {
    throw new Error(`${file} is no tokenizer.json: the field 'model' is missing`);
  }
  return tokenizerOf(json, options);
}

/** The tokenizer that a `tokenizer.json` describes. */
export function tokenizerOf(json: object, options: TokenizerOptions = {}): TextTokenizer {
  const tokenizer = new Tokenizer(lowerCasingByLetters(json), {
    unk_token: '[UNK]',
    pad_token: '[PAD]',
    clean_up_tokenization_spaces: false,
  });
  const vocabularySize = tokenizer.get_vocab(true).size;
  const unknownId = tokenizer.token_to_id('[UNK]');
  const unknown = options.unknown ?? 'error';
  return {
    json,
    vocabularySize,
    unknownId,
    padId: tokenizer.token_to_id('[PAD]'),
    idOf: (token) => tokenizer.token_to_id(token),
    tokenOf: (id) => tokenizer.id_to_token(id),
    encode(text) {
      const { ids } = tokenizer.encode(text, { add_special_tokens: false });
      if (unknown === 'error' && unknownId !== undefined && ids.includes(unknownId) && !text.includes('[UNK]')) {
        const words = text.split(/\s+/).filter(Boolean);
        const strange = words.filter((w) => tokenizer.encode(w, { add_special_tokens: false }).ids.includes(unknownId));
        throw new UnknownWordsError([...new Set(strange)], text, vocabularySize);
      }
      return ids;
    },
    decode(ids) {
      if (ids.length === 0) return ''; // a model may say nothing at all
      for (const id of ids) {
        if (tokenizer.id_to_token(id) === undefined) {
          throw new RangeError(`token ${id} is outside the vocabulary of ${vocabularySize}`);
        }
      }
      return tokenizer.decode([...ids], { skip_special_tokens: true });
    },
  };
}
