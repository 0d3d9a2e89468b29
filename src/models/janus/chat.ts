/** The conversation format that Janus-Pro was trained with, as text; a tokenizer makes ids of it. */

/** What Janus-Pro is told before questions about pictures. Generation goes without. */
export const JANUS_SYSTEM =
  'You are a helpful language and vision assistant. You are able to understand the visual content that the user provides, and assist the user with a variety of tasks using natural language.';

/** What stands before and after the picture of a question. */
export interface QuestionText {
  readonly before: string;
  readonly after: string;
}

/**
 * A question about a picture: `{system}\n\n<|User|>: [picture]\n{question}\n\n<|Assistant|>:`.
 * @param system default {@link JANUS_SYSTEM}; the empty text leaves it out
 */
export function questionText(question: string, system = JANUS_SYSTEM): QuestionText {
  return { before: `${system ? `${system}\n\n` : ''}<|User|>: `, after: `\n${question}\n\n<|Assistant|>:` };
}

/** A question without a picture. @param system default: none */
export function plainText(question: string, system = ''): string {
  const { before, after } = questionText(question, system);
  return before + after.slice(1);
}

/** The description of a picture to be generated; begin-of-image follows it. */
export function descriptionText(description: string): string {
  return plainText(description);
}
