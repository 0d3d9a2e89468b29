/** BLEU under its three names, with sacrebleu's tokenizers and parts. */
import { type BleuTokenizer, corpusSacrebleu, nltkBleu, sacrebleu, tokenize, unifybenchBleu } from '../../../src/eval';
import { type Check, close, same } from './check';

interface Pair {
  hypothesis: string;
  reference: string;
  sacrebleu_precisions: number[];
  sacrebleu_counts: number[];
  sacrebleu_totals: number[];
  sacrebleu_13a_hypothesis: string;
  sacrebleu_13a_reference: string;
  [score: string]: unknown;
}

const tolerance = 1e-9;

export async function* parity(
  _folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { pairs, corpus_sacrebleu: corpus } = description as unknown as { pairs: Pair[]; corpus_sacrebleu?: number };
  const name = `${pairs.length} pairs`;
  const compare = (key: string, score: (hypothesis: string, reference: string) => number): Check =>
    close(
      name,
      key,
      pairs.map((p) => score(p.hypothesis, p.reference)),
      pairs.map((p) => p[key] as number),
      tolerance,
    );
  const tokenized =
    (tokenizer: BleuTokenizer, lowercase = false) =>
    (h: string, r: string) =>
      sacrebleu(h, r, { tokenizer, lowercase }).score;
  yield compare('sacrebleu', tokenized('13a'));
  yield compare('sacrebleu_bp', (h, r) => sacrebleu(h, r).brevityPenalty);
  yield compare('sacrebleu_char', tokenized('char'));
  yield compare('sacrebleu_zh', tokenized('zh'));
  yield compare('sacrebleu_none_lc', tokenized('none', true));
  yield compare('nltk_word_4gram_method1', nltkBleu);
  yield compare('unifybench_char_07_03', unifybenchBleu);
  const scores = pairs.map((p) => sacrebleu(p.hypothesis, p.reference));
  yield close(
    name,
    'sacrebleu_precisions',
    scores.flatMap((s) => s.precisions),
    pairs.flatMap((p) => p.sacrebleu_precisions),
    tolerance,
  );
  yield same(
    name,
    'sacrebleu_counts',
    scores.flatMap((s) => s.counts),
    pairs.flatMap((p) => p.sacrebleu_counts),
  );
  yield same(
    name,
    'sacrebleu_totals',
    scores.flatMap((s) => s.totals),
    pairs.flatMap((p) => p.sacrebleu_totals),
  );
  yield same(
    name,
    '13a tokens',
    pairs.flatMap((p) => [tokenize(p.hypothesis, '13a'), tokenize(p.reference, '13a')]),
    pairs.flatMap((p) => [p.sacrebleu_13a_hypothesis, p.sacrebleu_13a_reference]),
  );
  if (corpus !== undefined) {
    const hypotheses = pairs.map((p) => p.hypothesis);
    const references = pairs.map((p) => p.reference);
    const got = corpusSacrebleu(hypotheses, references);
    yield close(name, 'corpus_sacrebleu', [got.score], [corpus], tolerance);
  }
}
