/**
 * The conversation format that Janus-Pro was trained with (DeepSeek's):
 * `{system}\n\n<|User|>: {question}\n\n<|Assistant|>: {answer}<end of sentence><|User|>: ..`.
 */
import { type ChatMessage, checkTurns, contentParts, contentText, PromptBuilder, type PromptPart } from './message';

/** What Janus-Pro is told before questions about images. Generation goes without. */
export const JANUS_SYSTEM =
  'You are a helpful language and vision assistant. You are able to understand the visual content that the user provides, and assist the user with a variety of tasks using natural language.';

const ROLES = { user: '<|User|>', assistant: '<|Assistant|>' } as const;
/** Ends an answer; the tokenizer's end token. */
const END_OF_ANSWER = '<｜end▁of▁sentence｜>';

/**
 * A conversation. Where the user spoke last, the assistant's turn is opened. An image and the text after it stand on
 * lines of their own, as upstream's examples write them.
 * @throws ChatFormatError
 */
export function renderJanus(messages: readonly ChatMessage[]): PromptPart[] {
  const { system, turns } = checkTurns(messages);
  const out = new PromptBuilder();
  if (system && contentText(system)) out.text(`${contentText(system)}\n\n`);
  for (const turn of turns) {
    out.text(`${turn.role === 'user' ? ROLES.user : ROLES.assistant}: `);
    let afterImage = false;
    for (const part of contentParts(turn)) {
      if (part.kind === 'image') out.image();
      else out.text(afterImage && !part.text.startsWith('\n') ? `\n${part.text}` : part.text);
      afterImage = part.kind === 'image';
    }
    out.text(turn.role === 'user' ? '\n\n' : END_OF_ANSWER);
  }
  if (turns[turns.length - 1].role === 'user') out.text(`${ROLES.assistant}:`);
  return out.parts();
}

/** What stands before and after the image of a question. */
export interface QuestionText {
  readonly before: string;
  readonly after: string;
}

/**
 * A question about an image: `{system}\n\n<|User|>: [image]\n{question}\n\n<|Assistant|>:`.
 * @param system default {@link JANUS_SYSTEM}; the empty text leaves it out
 */
export function questionText(question: string, system = JANUS_SYSTEM): QuestionText {
  const content = [{ kind: 'image' }, { kind: 'text', text: question }] as const;
  const [before, , after] = renderJanus([
    { role: 'system', content: system },
    { role: 'user', content },
  ]);
  return { before: textOf(before), after: textOf(after) };
}

/** A question without an image. @param system default: none */
export function plainText(question: string, system = ''): string {
  return textOf(
    renderJanus([
      { role: 'system', content: system },
      { role: 'user', content: question },
    ])[0],
  );
}

/** The description of an image to be generated; begin-of-image follows it. */
export function descriptionText(description: string): string {
  return plainText(description);
}

function textOf(part: PromptPart): string {
  return part.kind === 'text' ? part.text : '';
}
