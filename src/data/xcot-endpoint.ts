/**
 * The data engine's parts by a vision-language model behind an OpenAI-compatible endpoint (Qwen2.5-VL in the paper). The
 * subject is cut out of the reference, at the box that the model names, where the paper has Flux-Kontext draw it anew.
 */
import * as z from 'zod';
import type { Image } from '../io';
import { resizeImage } from '../io/images';
import { type ChatEndpoint, ChatEndpointError, type ChatReply } from './chat-endpoint';
import type { SubjectPair } from './xcot';
import type { PartReply, XcotParts } from './xcot-engine';

/** What a model may say at most, in words. */
const LONGEST = 80;

/** Corners in thousandths of the image's width and height. */
const boxAnswer = z.object({ box: z.tuple([z.number(), z.number(), z.number(), z.number()]) });

const EXTRACT = `You locate subjects in images. Answer with JSON alone: {"box": [left, top, right, bottom]}, in thousandths of the
image's width and height.`;
const CAPTION = `You describe the subject of an image so that a painter who cannot see it paints the very same one: its kind, colors,
shape, markings. Say nothing of its surroundings. One sentence.`;
const PLAN = `You plan an image before it is painted. The first image shows the subject, the second how the finished image looks. Say
where the subject stands, what it does, and what is around it, as if you were about to paint it. One or two sentences.`;

/**
 * @param endpoint what asks, retries, counts the cost and keeps the answers
 * @throws ChatEndpointError, when a run is under way, if no request can succeed
 */
export function endpointParts(endpoint: Pick<ChatEndpoint, 'ask'>, model: string): XcotParts {
  return {
    name: `endpoint ${model}`,
    extract: async (pairs) => {
      const asked = pairs.map(({ subject, reference }) => ({
        system: EXTRACT,
        parts: [reference, `Where is the ${subject}?`],
        maxTokens: 64,
      }));
      const boxes = await endpoint.ask(asked, readBox);
      return Promise.all(boxes.map((reply, i) => withValue(reply, (box) => cutOut(pairs[i].reference, box))));
    },
    caption: async (pairs) => {
      const asked = pairs.map(({ subject, reference }) => ({
        system: CAPTION,
        parts: [reference, `Describe the ${subject}.`],
      }));
      return named(pairs, await endpoint.ask(asked, readSentence));
    },
    plan: async (pairs) => {
      const asked = pairs.map(({ prompt, reference, target }) => ({
        system: PLAN,
        parts: [reference, target, `The user asks for: ${prompt}`],
      }));
      return endpoint.ask(asked, readSentence);
    },
    isFatal: (error) => error instanceof ChatEndpointError,
  };
}

async function withValue<T, U>(reply: ChatReply<T>, make: (value: T) => Promise<U>): Promise<PartReply<U>> {
  if ('error' in reply) return reply;
  try {
    return { value: await make(reply.value) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** A caption that does not name its subject is about something else. */
function named(pairs: readonly SubjectPair[], replies: readonly ChatReply[]): PartReply<string>[] {
  return replies.map((reply, i) => {
    if ('error' in reply) return reply;
    const words = pairs[i].subject.toLowerCase().split(/\s+/);
    const noun = words[words.length - 1];
    return reply.value.toLowerCase().includes(noun)
      ? { value: reply.value }
      : { error: `the caption does not name the ${pairs[i].subject}: '${reply.value.slice(0, 80)}'` };
  });
}

/** @throws Error for what is no sentence or two */
function readSentence(text: string, finished: boolean): string {
  const said = text.replace(/\s+/g, ' ').trim();
  const words = said === '' ? 0 : said.split(' ').length;
  if (!finished) throw new Error(`the answer was cut off after ${words} words`);
  if (words < 2 || words > LONGEST) throw new Error(`the answer has ${words} words, expected 2 to ${LONGEST}`);
  if (/^[[{`<]/.test(said)) throw new Error(`the answer is no sentence: '${said.slice(0, 60)}'`);
  return said;
}

type Box = readonly [left: number, top: number, right: number, bottom: number];

/** @throws Error for what is no JSON, or no box within the image */
function readBox(text: string): Box {
  const json = /\{[^{}]*\}/.exec(text)?.[0];
  if (json === undefined) throw new Error(`the answer holds no JSON: '${text.slice(0, 60)}'`);
  const { box } = boxAnswer.parse(JSON.parse(json));
  const [left, top, right, bottom] = box;
  if (!(left >= 0 && top >= 0 && right <= 1000 && bottom <= 1000 && right - left >= 20 && bottom - top >= 20))
    throw new Error(`the box ${JSON.stringify(box)} is not within the image, or empty`);
  return box;
}

/** What the box holds, as large as the image allows, in the middle of white. */
async function cutOut(image: Image, box: Box): Promise<Image> {
  const { width, height, rgb } = image;
  const [left, right] = [box[0], box[2]].map((x) => Math.round((x * width) / 1000));
  const [top, bottom] = [box[1], box[3]].map((y) => Math.round((y * height) / 1000));
  const [columns, rows] = [Math.max(1, right - left), Math.max(1, bottom - top)];
  const cut = new Uint8Array(columns * rows * 3);
  for (let row = 0; row < rows; row++)
    cut.set(
      rgb.subarray(((top + row) * width + left) * 3, ((top + row) * width + left + columns) * 3),
      row * columns * 3,
    );
  const scale = Math.min(width / columns, height / rows);
  const size = [Math.max(1, Math.round(columns * scale)), Math.max(1, Math.round(rows * scale))] as const;
  const large = await resizeImage({ width: columns, height: rows, rgb: cut }, ...size);
  const out = new Uint8Array(rgb.length).fill(255);
  const [x, y] = [Math.floor((width - large.width) / 2), Math.floor((height - large.height) / 2)];
  for (let row = 0; row < large.height; row++)
    out.set(large.rgb.subarray(row * large.width * 3, (row + 1) * large.width * 3), ((y + row) * width + x) * 3);
  return { width, height, rgb: out };
}
