/** New words for a Janus whose tokenizer is a list of words: rows behind the vocabulary, which nothing else moves for. */
import type { Rng } from '../../engine';
import type { ParameterValues } from '../../nn/store';
import { type TextTokenizer, tokenizerOf } from '../../text/tokenizer';
import { JanusNetwork } from './network';

/** Standard deviation of what a new row is away from the one it starts near, in those of the table. */
const NOISE = 0.3;

/**
 * A copy of the network and of the tokenizer with the words added; the ids of image tokens stay where they are.
 * @param words each with the known word that its rows start near
 * @throws Error for a word to start near that is not known
 */
export async function addWords(
  { config, store }: JanusNetwork,
  tokenizer: TextTokenizer,
  words: Readonly<Record<string, string>>,
  rng: Rng,
): Promise<{ network: JanusNetwork; tokenizer: TextTokenizer }> {
  const near = Object.values(words).map((word) => {
    const id = tokenizer.idOf(word);
    if (id === undefined) throw new Error(`the vocabulary has no '${word}' for a new word to start near`);
    return id;
  });
  const size = config.text.vocab_size;
  const grown = { ...config, text: { ...config.text, vocab_size: size + near.length } };
  const network = JanusNetwork.random(grown, rng.split('unused'));
  const values = await store.values();
  for (const table of ['model.language_model.embed_tokens.weight', 'lm_head.weight'])
    if (Object.hasOwn(values, table)) values[table] = withRows(values[table], near, rng.split(table));
  network.store.assign(values);
  return { network, tokenizer: tokenizerOf(withVocabulary(tokenizer.json, Object.keys(words), size)) };
}

function withRows({ shape, data }: ParameterValues, near: readonly number[], rng: Rng): ParameterValues {
  const [rows, width] = shape;
  const out = new Float32Array((rows + near.length) * width);
  out.set(data);
  const spread = NOISE * Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);
  const noise = rng.normal(near.length * width);
  near.forEach((id, i) => {
    for (let d = 0; d < width; d++) out[(rows + i) * width + d] = data[id * width + d] + spread * noise[i * width + d];
  });
  return { shape: [rows + near.length, width], data: out };
}

interface WordList {
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
}

function withVocabulary(json: object, words: readonly string[], from: number): object {
  const { model } = json as WordList;
  const vocab = { ...model.vocab, ...Object.fromEntries(words.map((word, i) => [word, from + i])) };
  return { ...json, model: { ...model, vocab } };
}
