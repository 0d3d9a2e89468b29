/** PickScore (Kirstain et al. 2023, Sec. 3): which of several pictures people would pick for a prompt. */

/** Scores of pictures that compete for one prompt. */
export interface PickScores {
  /** exp(logit_scale) times the cosine of prompt and picture; about 20 for the published weights. */
  readonly scores: number[];
  /** How likely each is picked: softmax of the scores. */
  readonly probabilities: number[];
}

/**
 * @param text the prompt's vector, of length 1
 * @param pictures each picture's vector, of length 1
 * @param scale exp(logit_scale) of the model
 * @throws RangeError for vectors of another length than the prompt's
 */
export function pickScores(text: Float32Array, pictures: readonly Float32Array[], scale: number): PickScores {
  const scores = pictures.map((picture) => {
    if (picture.length !== text.length)
      throw new RangeError(`a picture's vector has ${picture.length} numbers, the prompt's ${text.length}`);
    return scale * picture.reduce((sum, v, i) => sum + v * text[i], 0);
  });
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return { scores, probabilities: weights.map((weight) => weight / sum) };
}
