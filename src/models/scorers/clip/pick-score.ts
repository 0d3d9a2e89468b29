/** PickScore (Kirstain et al. 2023, Sec. 3): which of several images people would pick for a prompt. */

/** Scores of images that compete for one prompt. */
export interface PickScores {
  /** exp(logit_scale) times the cosine of prompt and image; about 20 for the published weights. */
  readonly scores: number[];
  /** How likely each is picked: softmax of the scores. */
  readonly probabilities: number[];
}

/**
 * @param text the prompt's vector, of length 1
 * @param images each image's vector, of length 1
 * @param scale exp(logit_scale) of the model
 * @throws RangeError for vectors of another length than the prompt's
 */
export function pickScores(text: Float32Array, images: readonly Float32Array[], scale: number): PickScores {
  const scores = images.map((image) => {
    if (image.length !== text.length)
      throw new RangeError(`an image's vector has ${image.length} numbers, the prompt's ${text.length}`);
    return scale * image.reduce((sum, v, i) => sum + v * text[i], 0);
  });
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { scores, probabilities: weights.map((weight) => weight / sum) };
}
