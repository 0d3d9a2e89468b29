export { nltkBleu, unifybenchBleu } from './nltk';
export { type SacrebleuOptions, type SacrebleuScore, corpusSacrebleu, sacrebleu } from './sacrebleu';
export { type BleuTokenizer, tokenize } from './tokenizers';
