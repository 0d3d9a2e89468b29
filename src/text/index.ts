export type { Asked, GeneratedImage, Seeded, TextCodec } from './asked';
export { type ClipContext, ClipTokenizer } from './clip-bpe';
export { cleanCaption } from './clip-cleaning';
export * from './chat';
export { loadTokenizer, MINI_WORLD_TOKENIZER, type TextTokenizer, type TokenizerOptions } from './tokenizer';
export { loadWordPiece, type WordPiece, WordPieceError } from './wordpiece';
