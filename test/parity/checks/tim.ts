/** R_TIM: the score, its two halves and every token's best match, in double precision; and a padded batch. */
import { tokenMatch } from '../../../src/rewards';
import { type Check, close } from './check';

interface Case {
  name: string;
  kind: 'defined' | 'upstream_edge';
  text: number[][];
  image: number[][];
  score: number;
  image_to_text_mean: number;
  text_to_image_mean: number;
  image_best: number[];
  text_best: number[];
}

interface Description {
  cases: Case[];
  batch: { text: number[][][]; text_mask: number[][]; image: number[][][]; scores: number[] };
}

const tolerance = 1e-9;

export async function* parity(
  _folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { cases, batch } = description as unknown as Description;
  for (const one of cases) {
    // Upstream's smallest norm is a property of its division; a cosine has none.
    if (one.kind !== 'defined') continue;
    const got = tokenMatch(one);
    yield close(one.name, 'score', [got.score], [one.score], tolerance);
    yield close(one.name, 'image to text', [got.imageToText], [one.image_to_text_mean], tolerance);
    yield close(one.name, 'text to image', [got.textToImage], [one.text_to_image_mean], tolerance);
    yield close(one.name, 'image tokens', got.imageBest, one.image_best, tolerance);
    yield close(one.name, 'text tokens', got.textBest, one.text_best, tolerance);
    const exchanged = tokenMatch({ text: one.image, image: one.text });
    yield close(one.name, 'exchanged', [exchanged.score], [one.score], tolerance);
  }
  const scores = batch.text.map((text, row) => {
    const real = text.filter((_, k) => batch.text_mask[row][k] === 1);
    return tokenMatch({ text: real, image: batch.image[row] }).score;
  });
  yield close(`batch of ${scores.length}`, 'scores', scores, batch.scores, tolerance);
}
