/** The closed word list of the mini world: what `data/mini-world/tokenizer.json` is made from. */
import { CONCEPT_IDENTITIES, HAIR_COLORS, HAIR_STYLES } from './people';
import { plural } from './captions';
import { COLORS, SUBJECTS, BACKGROUND_PHRASES, NUMBER_WORDS, OBJECTS, PLAIN_BACKGROUNDS } from './world';

/** Tokens that are not words; `[PAD]` is 0, `[UNK]` is 1. */
export const SPECIAL_TOKENS = ['[PAD]', '[UNK]', '[BOS]', '[EOS]', '[SEP]', '<sks>'] as const;

const TEMPLATE_WORDS = `
  . , ? : ; a an the is are was of in on at to and or not with without no yes there this that it its
  photo picture image drawing painting background ground scene
  left right above below beside top bottom centre side which
  what who where when how many much colour does do have has wear wears hair bald bun glasses beard person people
  facts fact question answer think so because then look describe same different another
  he she they stands near alone small big particular special one called name named
  style bright pale dark light unusual show shows shown create generate draw paint see seen
`;

/** Names of the concepts that are not people. */
export const OTHER_CONCEPT_NAMES = [
  'pixel',
  'luna',
  'rusty',
  'momo',
  'hoot',
  'brew',
  'strum',
  'trek',
  'bolt',
  'tick',
] as const;

/** Every token in the order of its number: specials first, then words, each once. */
export function vocabulary(): string[] {
  return [
    ...new Set<string>([
      ...SPECIAL_TOKENS,
      ...TEMPLATE_WORDS.trim().split(/\s+/),
      ...NUMBER_WORDS,
      ...COLORS,
      ...PLAIN_BACKGROUNDS,
      ...HAIR_STYLES,
      ...HAIR_COLORS,
      ...Object.values(BACKGROUND_PHRASES).flatMap((phrase) => phrase.split(' ')),
      ...OBJECTS,
      ...OBJECTS.map(plural),
      ...SUBJECTS,
      ...Object.keys(CONCEPT_IDENTITIES),
      ...OTHER_CONCEPT_NAMES,
    ]),
  ];
}

/** The word list as a Hugging Face `tokenizer.json`: whole words (WordPiece without continuation pieces), split at white space. */
export function tokenizerJson(): Record<string, unknown> {
  const words = vocabulary();
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: content !== '<sks>',
    })),
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
    },
  };
}
