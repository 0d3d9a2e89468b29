/** Conversations, and what a template makes of them: text to be tokenized, with images and special tokens between. */

export type ContentPart = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'image' };

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  /** Text, or text and images in order. */
  readonly content: string | readonly ContentPart[];
}

/** A piece of a prompt. Images are numbered in the order of the conversation. */
export type PromptPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'image'; readonly index: number }
  /** A special token that the model knows by this name. */
  | { readonly kind: 'token'; readonly name: 'separator' };

/** A prompt whose text is ids. */
export type EncodedPart =
  { readonly kind: 'text'; readonly ids: number[] } | Exclude<PromptPart, { readonly kind: 'text' }>;

/** A conversation that a template cannot write. */
export class ChatFormatError extends Error {
  override readonly name = 'ChatFormatError';
}

/**
 * The turns of a conversation: a system text if there is one, then user and assistant in turn.
 * @throws ChatFormatError for an empty conversation or another order
 */
export function checkTurns(messages: readonly ChatMessage[]): { system?: ChatMessage; turns: readonly ChatMessage[] } {
  const system = messages[0]?.role === 'system' ? messages[0] : undefined;
  const turns = system ? messages.slice(1) : messages;
  if (turns.length === 0) throw new ChatFormatError('the conversation has no message of the user');
  turns.forEach((turn, i) => {
    const expected = i % 2 ? 'assistant' : 'user';
    if (turn.role !== expected)
      throw new ChatFormatError(
        `message ${i + (system ? 1 : 0)} is the ${turn.role}'s; the ${expected}'s was expected: user and assistant take turns`,
      );
  });
  return { system, turns };
}

/** A message's parts; plain text is one. */
export function contentParts({ content }: ChatMessage): readonly ContentPart[] {
  return typeof content === 'string' ? [{ kind: 'text', text: content }] : content;
}

/** A message without images as text. @throws ChatFormatError when it has images */
export function contentText(message: ChatMessage): string {
  return contentParts(message)
    .map((part) => {
      if (part.kind === 'image')
        throw new ChatFormatError(
          `the ${message.role}'s message has an image where this template has no place for one`,
        );
      return part.text;
    })
    .join('');
}

/** Puts a prompt together: texts side by side become one, images get their numbers. */
export class PromptBuilder {
  private readonly list: PromptPart[] = [];
  private images = 0;

  text(text: string): this {
    const last = this.list[this.list.length - 1];
    if (text === '') return this;
    if (last?.kind === 'text') this.list[this.list.length - 1] = { kind: 'text', text: last.text + text };
    else this.list.push({ kind: 'text', text });
    return this;
  }

  image(): this {
    this.list.push({ kind: 'image', index: this.images++ });
    return this;
  }

  token(name: 'separator'): this {
    this.list.push({ kind: 'token', name });
    return this;
  }

  parts(): PromptPart[] {
    return [...this.list];
  }
}

/** A prompt to be read by people: images and tokens as `<name>`. */
export function promptText(parts: readonly PromptPart[]): string {
  return parts
    .map((part) => (part.kind === 'text' ? part.text : part.kind === 'image' ? '<image>' : `<${part.name}>`))
    .join('');
}

/** Text as ids. @param encode a tokenizer's, without begin and end tokens */
export function encodePrompt(parts: readonly PromptPart[], encode: (text: string) => number[]): EncodedPart[] {
  return parts.map((part) => (part.kind === 'text' ? { kind: 'text', ids: encode(part.text) } : part));
}
