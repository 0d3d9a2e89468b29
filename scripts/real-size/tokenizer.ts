/** A text tokenizer of a published vocabulary's size: the mini world's words, and fillers for all other ids. */
import { readFileSync } from 'node:fs';
import { THINKING_WORDS } from '../../src/miniworld/thinking';
import { MINI_WORLD_TOKENIZER } from '../../src/text/tokenizer';

interface WordList {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
}

/**
 * @param size of the vocabulary: every id below it has a token
 * @param first id of the mini world's first word
 * @param named tokens that the model's own layout names, with their ids
 * @returns a `tokenizer.json`
 */
export function paddedTokenizer(size: number, first = 0, named: Readonly<Record<string, number>> = {}): object {
  const json = JSON.parse(readFileSync(MINI_WORLD_TOKENIZER, 'utf8')) as WordList;
  const words = [...Object.entries(json.model.vocab).sort((a, b) => a[1] - b[1])].map(([word]) => word);
  const vocab: Record<string, number> = { ...named };
  [...words, ...Object.keys(THINKING_WORDS)].forEach((word, i) => (vocab[word] = first + i));
  const taken = new Set(Object.values(vocab));
  for (let id = 0; id < size; id++) if (!taken.has(id)) vocab[`unused${id}`] = id;
  const added = json.added_tokens.map((token) => ({ ...token, id: vocab[token.content] }));
  return { ...json, added_tokens: added, model: { ...json.model, vocab } };
}
