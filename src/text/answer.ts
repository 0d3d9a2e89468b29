/** The answer inside `<think>...</think><answer>...</answer>` (CoRL), found as the released code finds it. */
import { SPACE, strip } from './python-classes';

const tagged = /<answer>([^\n]*?)<\/answer>/;
const thoughts = /<think>[\s\S]*?<\/think>/g;
const leftovers = ['<think>', '</think>', '<answer>', '</answer>', 'Answer:', 'Answer'];

/** The whole text: a thought, then white space and dots alone, then an answer. */
const whole = new RegExp(`^<think>[\\s\\S]*?</think>[.${SPACE}]*<answer>[\\s\\S]*?</answer>$`);

/** The tags, each of which a strict completion has once. */
const TAGS = ['<think>', '</think>', '<answer>', '</answer>'] as const;

/**
 * The first `<answer>...</answer>` on one line, trimmed; where there is none, the text without its thoughts and without
 * what is left of tags. An answer inside the thought comes before the real one, and an unclosed thought stays.
 */
export function answerIn(completion: string): string {
  const found = tagged.exec(completion);
  if (found) return strip(found[1]);
  return strip(leftovers.reduce((text, leftover) => text.replaceAll(leftover, ''), completion.replace(thoughts, '')));
}

/** What a data set gives as the answer: inside its tags when it has some on one line, else the whole text; trimmed. */
export function expectedAnswer(solution: string): string {
  return strip(tagged.exec(solution)?.[1] ?? solution);
}

/** Whether the whole text is a thought and an answer. Further tags may stand inside of both. */
export function isThoughtThenAnswer(completion: string): boolean {
  return whole.test(completion);
}

/** How many of the four tags occur exactly once. */
export function tagsOccurringOnce(completion: string): number {
  return TAGS.filter((tag) => completion.split(tag).length === 2).length;
}
