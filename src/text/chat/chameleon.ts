/**
 * The conversation format of Chameleon and Lumina-mGPT: every message, text and images as they come, is ended by the
 * separator token; after the user's it is the model's turn.
 */
import { ChatFormatError, type ChatMessage, checkTurns, contentParts, PromptBuilder, type PromptPart } from './message';

export interface ChameleonTemplateOptions {
  /** Ends messages with the separator. False: the model goes on with the last message itself. Default true. */
  readonly separators?: boolean;
}

/** @throws ChatFormatError for other order, or a system text: the format has none */
export function renderChameleon(
  messages: readonly ChatMessage[],
  { separators = true }: ChameleonTemplateOptions = {},
): PromptPart[] {
  const { system, turns } = checkTurns(messages);
  if (system)
    throw new ChatFormatError("Chameleon's format has no system text; say it at the head of the first question");
  const out = new PromptBuilder();
  for (const turn of turns) {
    for (const part of contentParts(turn)) {
      if (part.kind === 'image') out.image();
      else out.text(part.text);
    }
    if (separators) out.token('separator');
  }
  return out.parts();
}

/**
 * What Lumina-mGPT is asked for an image.
 * @param width pixels; a multiple of 32
 * @param height pixels; a multiple of 32
 */
export function luminaRequest(description: string, width: number, height: number): string {
  return `Generate an image of ${width}x${height} according to the following prompt:\n${description}`;
}
