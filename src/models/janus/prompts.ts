/**
 * Text and images as Janus reads them: a tokenizer, the conversation format that the model was trained with, and a
 * subject's `<sks>`.
 */
import type { Image } from '../../io';
import { type ContentPart, encodePrompt } from '../../text/chat/message';
import { descriptionText, JANUS_SYSTEM, renderJanus } from '../../text/chat/janus';
import type { TextTokenizer } from '../../text/tokenizer';
import type { ConceptTokens } from './concept-tokens';
import type { JanusConfig } from './config';
import { generationIds, imageIds, type JanusPrompt, type LayoutPart, understandingIds } from './layout';

/** A token of Janus' own vocabulary: a tokenizer that has it belongs to a model that was trained on conversations. */
const ROLE = '<|User|>';

export class JanusPrompts {
  /** Whether prompts are put as conversations, as Janus and Janus-Pro were trained; the mini model takes them plain. */
  readonly isChat: boolean;
  private readonly silent: ReadonlySet<number>;

  constructor(
    private readonly config: JanusConfig,
    private readonly tokenizer: TextTokenizer,
    private readonly concept?: ConceptTokens,
  ) {
    this.isChat = tokenizer.idOf(ROLE) !== undefined;
    const { bos, eos, pad } = config.tokens;
    this.silent = new Set([bos, eos, pad, ...imageIds(config.tokens)]);
  }

  /** See `UnifiedModel.prompt`. @throws PromptTooLongError; RangeError for what Janus cannot be asked */
  prompt(parts: readonly (string | Image)[], task: 'understand' | 'generate' | 'interleave'): JanusPrompt {
    const images = parts.filter((part): part is Image => typeof part !== 'string');
    if (task === 'interleave') throw new RangeError('Janus does not mix text and images in what it makes');
    if (task === 'understand') {
      this.checkSizes(images);
      const layout = this.questionLayout(parts);
      const ids = understandingIds(this.config, layout);
      return { task, ids, images, shared: Math.min(sharedLength(this.config, layout), ids.length - 1) };
    }
    if (images.length > 0) throw new RangeError('Janus draws from text alone: an image cannot stand in this prompt');
    const text = parts.filter((part) => typeof part === 'string').join(' ');
    return { task, ids: generationIds(this.config, this.encode(this.isChat ? descriptionText(text) : text)) };
  }

  /** Ids of an answer: every `<sks>` is the subject's own. */
  answer(text: string): number[] {
    return this.encode(text, 'alone');
  }

  /** What the ids of an answer say; special ids say nothing. */
  textOf(ids: readonly number[]): string {
    const { concept, tokenizer } = this;
    const runs: number[][] = [[]];
    for (const id of ids) {
      if (id === concept?.subject) runs.push([]);
      else if (!this.silent.has(id) && tokenizer.tokenOf(id) !== undefined) runs[runs.length - 1].push(id);
    }
    const texts = runs.map((run) => tokenizer.decode(run));
    return concept ? texts.join(` ${concept.placeholder} `).replace(/ {2,}/g, ' ').trim() : texts[0];
  }

  private questionLayout(parts: readonly (string | Image)[]): LayoutPart[] {
    if (!this.isChat) return parts.map((part) => (typeof part === 'string' ? this.encode(part) : 'image'));
    const content = parts.map((part): ContentPart => {
      return typeof part === 'string' ? { kind: 'text', text: part } : { kind: 'image' };
    });
    // Upstream tells the model what it is before questions about images, and nothing before plain ones.
    const system = parts.some((part) => typeof part !== 'string') ? JANUS_SYSTEM : '';
    const turns = renderJanus([
      { role: 'system', content: system },
      { role: 'user', content },
    ]);
    return encodePrompt(turns, (text) => this.encode(text)).map((part) => (part.kind === 'text' ? part.ids : 'image'));
  }

  private encode(text: string, subject: 'introduced' | 'alone' = 'introduced'): number[] {
    const { concept, tokenizer } = this;
    if (!concept) return text === '' ? [] : tokenizer.encode(text);
    return text.split(concept.placeholder).flatMap((piece, i) => {
      const before = i === 0 ? [] : i === 1 && subject === 'introduced' ? concept.expansion : [concept.subject];
      return [...before, ...(piece.trim() === '' ? [] : tokenizer.encode(piece))];
    });
  }

  private checkSizes(images: readonly Image[]): void {
    const side = this.config.vision.image_size;
    for (const { width, height } of images)
      if (width !== side || height !== side)
        throw new RangeError(`an image is ${width} x ${height}; this model sees ${side} x ${side}: resize it first`);
  }
}

/** Ids up to the last part of a layout, which alone differs between questions about the same. */
function sharedLength(config: JanusConfig, layout: readonly LayoutPart[]): number {
  const end = layout[layout.length - 1] === 'image' ? layout.length : Math.max(0, layout.length - 1);
  return understandingIds(config, layout.slice(0, end)).length;
}
