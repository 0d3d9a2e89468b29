/**
 * The format of Show-o's questions (LLaVA's for Phi-1.5): `USER: \n{question} ASSISTANT: {answer}<|endoftext|>USER: ..`.
 * The image stands before all text, put there by the sequence layout; the line break is what is left of its place.
 * Descriptions of images to be generated are said as they are.
 */
import { ChatFormatError, type ChatMessage, checkTurns, contentParts, contentText } from './message';

/** What the variant with CLIP's features was told first. The discrete one, which is built here, goes without. */
export const SHOWO_SYSTEM =
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.";

const END_OF_ANSWER = '<|endoftext|>';

export interface ShowoPrompt {
  readonly text: string;
  /** Whether the conversation is about an image. */
  readonly image: boolean;
}

/**
 * A conversation. Where the user spoke last, the assistant's turn is opened.
 * @throws ChatFormatError for other order, or images elsewhere than at the head of the first question
 */
export function renderShowo(messages: readonly ChatMessage[]): ShowoPrompt {
  const { system, turns } = checkTurns(messages);
  const [first, ...rest] = contentParts(turns[0]);
  const image = first?.kind === 'image';
  const text = turns.map((turn, i) => {
    const said = contentText(i === 0 && image ? { ...turn, content: rest } : turn);
    if (turn.role === 'assistant') return ` ASSISTANT: ${said}${END_OF_ANSWER}`;
    return `USER: ${i === 0 && image ? '\n' : ''}${said}`;
  });
  const open = turns[turns.length - 1].role === 'user' ? ' ASSISTANT:' : '';
  return { text: `${system ? `${contentText(system)} ` : ''}${text.join('')}${open}`, image };
}

/** A question about an image: `USER: \n{question} ASSISTANT:`. */
export function showoQuestion(question: string): string {
  return renderShowo([{ role: 'user', content: [{ kind: 'image' }, { kind: 'text', text: question }] }]).text;
}

/** What was said after the assistant's turn was opened, without what ends it. @throws ChatFormatError without an opened turn */
export function showoAnswer(text: string): string {
  const at = text.lastIndexOf('ASSISTANT:');
  if (at < 0) throw new ChatFormatError("the text has no 'ASSISTANT:': no answer was asked for");
  return text
    .slice(at + 'ASSISTANT:'.length)
    .split(END_OF_ANSWER)[0]
    .trim();
}
