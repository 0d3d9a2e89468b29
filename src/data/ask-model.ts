/** Asks a model for a benchmark's items, as a protocol says: greedy answers, so many images of a prompt, which guidance. */
import type { Rng } from '../engine';
import type { Image } from '../io';
import {
  type ImageOptions,
  type Prompt,
  PromptTooLongError,
  type TextOptions,
  type UnifiedModel,
} from '../models/unified';
import type { Ask, BenchmarkItem, Outputs } from './benchmark';
import { resultsOf } from './xcot';
import { imagesOf, sampleXcot, type Structure } from './xcot-sample';

/**
 * How a model knows the subject of a prompt. `words`: it is told its class (a text prompt). `learned`: its prompts say
 * `<sks>`, which it learned. `shown`: it is given an image of it (MM-R1).
 */
export const SUBJECT_MODES = ['words', 'learned', 'shown'] as const;
export type SubjectMode = (typeof SUBJECT_MODES)[number];

export interface Protocol {
  /** Images drawn of a prompt. Default 1. */
  readonly samples?: number;
  /** Default `words`. */
  readonly subjects?: SubjectMode;
  /** Of a model that is shown subjects. Default `free`. */
  readonly structure?: Structure;
  /** Said behind every question. Default: nothing. */
  readonly instruction?: string;
  /** Default: greedy, at most 256 tokens. */
  readonly text?: TextOptions;
  readonly image?: ImageOptions;
}

/** What a model gave for an item; `problem` says why nothing. */
export type Asked = Outputs & { readonly problem?: string };

const greedy: TextOptions = { temperature: 0, maxNewTokens: 256 };

/**
 * Asks for all items in one batch. Random numbers are split off by an item's id, so that no item depends on its
 * neighbors. An item whose prompt has no room is given nothing, and says so.
 */
export async function askModel(
  model: UnifiedModel,
  items: readonly BenchmarkItem[],
  protocol: Protocol,
  rng: Rng,
): Promise<Asked[]> {
  const out = new Map<BenchmarkItem, Asked>();
  const of = <K extends Ask['kind']>(kind: K) =>
    items.flatMap((item) => (item.ask.kind === kind ? [{ item, ask: item.ask as Extract<Ask, { kind: K }> }] : []));
  const questions: Question[] = [];
  for (const { item, ask } of of('answer')) {
    const parts = protocol.subjects === 'learned' ? ask.parts : (ask.inWords ?? ask.parts);
    try {
      questions.push({ item, parts: withInstruction(await parts(), protocol) });
    } catch (error) {
      // An image whose header is whole and whose pixels are not: the item's own fault, not its neighbors'.
      out.set(item, nothing((error as Error).message));
    }
  }
  for (const [item, asked] of answerAll(model, questions, protocol, rng)) out.set(item, asked);
  for (const [item, asked] of await drawAll(model, of('image'), protocol, rng)) out.set(item, asked);
  return items.map((item) => out.get(item) ?? nothing('it was not asked'));
}

const nothing = (problem: string): Asked => ({ texts: [], images: [], problem });

function withInstruction(parts: readonly (string | Image)[], { instruction }: Protocol): readonly (string | Image)[] {
  const last = parts.at(-1);
  return instruction && typeof last === 'string' ? [...parts.slice(0, -1), `${last}\n${instruction}`] : parts;
}

interface Question {
  readonly item: BenchmarkItem;
  readonly parts: readonly (string | Image)[];
}

function answerAll(
  model: UnifiedModel,
  questions: readonly Question[],
  { text }: Protocol,
  rng: Rng,
): (readonly [BenchmarkItem, Asked])[] {
  const prompts = questions.map(({ parts }) => promptOrProblem(() => model.prompt(parts, 'understand')));
  const requests = questions.flatMap(({ item }, i) => {
    const prompt = prompts[i];
    return typeof prompt === 'string' ? [] : [{ item, prompt, rng: rng.split(item.id) }];
  });
  const segments = requests.length > 0 ? model.sampleText(requests, { ...greedy, ...text }) : [];
  const said = new Map(requests.map(({ item }, i) => [item, segments[i].text]));
  return questions.map(({ item }, i) => {
    const prompt = prompts[i];
    return [
      item,
      typeof prompt === 'string' ? nothing(prompt) : { texts: [said.get(item) ?? ''], images: [] },
    ] as const;
  });
}

function promptOrProblem(make: () => Prompt): Prompt | string {
  try {
    return make();
  } catch (error) {
    if (error instanceof PromptTooLongError) return error.message;
    throw error;
  }
}

type ImageAsk = Extract<Ask, { kind: 'image' }>;
interface Wanted {
  readonly item: BenchmarkItem;
  readonly ask: ImageAsk;
}

async function drawAll(
  model: UnifiedModel,
  wanted: readonly Wanted[],
  protocol: Protocol,
  rng: Rng,
): Promise<(readonly [BenchmarkItem, Asked])[]> {
  if (wanted.length === 0) return [];
  const { samples = 1, subjects = 'words' } = protocol;
  const copies = wanted.flatMap(({ item, ask }) =>
    Array.from({ length: samples }, (_, k) => ({ item, ask, rng: rng.split(item.id).split(k) })),
  );
  const shown = copies.filter(({ ask }) => subjects === 'shown' && ask.references !== undefined);
  const told = copies.filter((copy) => !shown.includes(copy));
  const drawn = new Map<BenchmarkItem, { images: Image[]; problem?: string }>(
    wanted.map(({ item }) => [item, { images: [] }]),
  );
  const results = [...drawTold(model, told, protocol), ...(await drawShown(model, shown, protocol))];
  for (const [item, result] of await decoded(model, results)) {
    const own = drawn.get(item) as { images: Image[]; problem?: string };
    if (typeof result === 'string') own.problem = result;
    else own.images.push(result);
  }
  return wanted.map(({ item, ask }) => {
    const { images, problem } = drawn.get(item) as { images: Image[]; problem?: string };
    const texts = aboutOwnImages(model, item, ask, images, protocol, rng);
    return [item, { texts, images, ...(problem === undefined ? {} : { problem }) }] as const;
  });
}

interface Copy extends Wanted {
  readonly rng: Rng;
}

type Segments = ReturnType<ReturnType<UnifiedModel['imageSampler']>['finish']>;
type Drawn = readonly [BenchmarkItem, Segments[number] | Image | string];

function drawTold(model: UnifiedModel, copies: readonly Copy[], { subjects, image }: Protocol): Drawn[] {
  const textOf = ({ prompt, inWords }: ImageAsk) => (subjects === 'learned' ? prompt : (inWords ?? prompt));
  const prompts = new Map<BenchmarkItem, Prompt | string>();
  for (const { item, ask } of copies)
    if (!prompts.has(item))
      prompts.set(
        item,
        promptOrProblem(() => model.prompt([textOf(ask)], 'generate')),
      );
  const requests = copies.flatMap(({ item, rng }) => {
    const prompt = prompts.get(item) as Prompt | string;
    return typeof prompt === 'string' ? [] : [{ item, prompt, rng }];
  });
  const segments = requests.length > 0 ? model.imageSampler(requests, image).finish() : [];
  const problems = [...prompts].flatMap(([item, prompt]) =>
    typeof prompt === 'string' ? [[item, prompt] as const] : [],
  );
  return [...requests.map(({ item }, i) => [item, segments[i]] as const), ...problems];
}

async function drawShown(model: UnifiedModel, copies: readonly Copy[], protocol: Protocol): Promise<Drawn[]> {
  if (copies.length === 0) return [];
  const { structure = 'free', text, image } = protocol;
  const examples = new Map<BenchmarkItem, { prompt: string; references: readonly [Image, ...Image[]] }>();
  for (const { item, ask } of copies) {
    if (examples.has(item)) continue;
    const [first, ...others] = (await ask.references?.()) ?? [];
    examples.set(item, { prompt: ask.inWords ?? ask.prompt, references: [first, ...others] });
  }
  const requests = copies.map(({ item, rng }) => ({
    example: examples.get(item) as { prompt: string; references: readonly [Image, ...Image[]] },
    rng,
  }));
  const images = await resultsOf(model, await sampleXcot(model, requests, { structure, text, image }), structure);
  return copies.map(({ item }, i) => [item, images[i] ?? 'the sequence came to no image']);
}

/** Codes as images, those of one grid together. */
async function decoded(
  model: UnifiedModel,
  drawn: readonly Drawn[],
): Promise<(readonly [BenchmarkItem, Image | string])[]> {
  const isSegment = (result: Drawn[1]): result is Segments[number] => typeof result === 'object' && 'codes' in result;
  const segments = drawn.flatMap(([, result]) => (isSegment(result) ? [result] : []));
  const images = new Map<Segments[number], Image>();
  for (const grid of new Set(segments.map((segment) => segment.grid.join()))) {
    const same = segments.filter((segment) => segment.grid.join() === grid);
    (await imagesOf(model, same)).forEach((image, i) => images.set(same[i], image));
  }
  return drawn.map(([item, result]) => [item, isSegment(result) ? (images.get(result) as Image) : result]);
}

/** Greedy answers about each image that the model drew, in the order of the questions. */
function aboutOwnImages(
  model: UnifiedModel,
  item: BenchmarkItem,
  { thenAsked = [] }: ImageAsk,
  images: readonly Image[],
  { text }: Protocol,
  rng: Rng,
): string[] {
  const requests = images.flatMap((image, k) =>
    thenAsked.map((question) => ({
      prompt: model.prompt([image, question], 'understand'),
      rng: rng.split(item.id).split(`image ${k}`).split(question),
    })),
  );
  return requests.length > 0 ? model.sampleText(requests, { ...greedy, ...text }).map((segment) => segment.text) : [];
}
