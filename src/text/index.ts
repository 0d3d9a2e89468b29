export { answerIn, expectedAnswer, isThoughtThenAnswer, tagsOccurringOnce } from './answer';
export type { Asked, GeneratedImage, Seeded, TextCodec } from './asked';
export * from './bleu';
export { type ClipContext, ClipTokenizer } from './clip-bpe';
export { cleanCaption } from './clip-cleaning';
export * from './chat';
export { BOUNDARY, SPACE, splitWords, strip } from './python-classes';
export {
  loadTokenizer,
  MINI_WORLD_TOKENIZER,
  tokenizerOf,
  type TextTokenizer,
  type TokenizerOptions,
  UnknownWordsError,
} from './tokenizer';
export { loadWordPiece, type WordPiece, WordPieceError } from './wordpiece';
export { blockRatio, softJaccard } from './word-similarity';
