/** MM-R1's format reward (Sec. 3.4): a regular expression over what a sequence is made of, text and images in their order. */
import { defineReward, type Reward, type RewardSample } from './reward';

/** `{<text><|image|><text><|image|>}`: the subject, its image, the plan, and what is drawn of it. */
export const XCOT_FORMAT = '^<text><\\|image\\|><text><\\|image\\|>$';

/** What a sequence is made of: `<text>` for text with at least one word, `<|image|>` for an image. */
export function sequenceForm(outputs: RewardSample['outputs']): string {
  return outputs.map((part) => ('image' in part ? '<|image|>' : part.text.trim() === '' ? '' : '<text>')).join('');
}

/**
 * `format`: 1 when the form of a sequence matches, else 0.
 * @param pattern of {@link sequenceForm}. Default {@link XCOT_FORMAT}
 * @throws SyntaxError for what is no regular expression
 */
export function sequenceFormat(pattern: string = XCOT_FORMAT): Reward {
  const expected = new RegExp(pattern);
  return defineReward('format', [0, 1], (samples) =>
    samples.map(({ outputs }) => (expected.test(sequenceForm(outputs)) ? 1 : 0)),
  );
}
