export { loadTokenizer, MINI_WORLD_TOKENIZER, type TextTokenizer, type TokenizerOptions } from './tokenizer';
