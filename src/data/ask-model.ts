/** Asks a model for a benchmark's items, as a protocol says: greedy answers, so many images of a prompt, which guidance. */
import type { Rng } from '../engine';
import type { Image } from '../io';
import {
  type ImageSegment,
  type Prompt,
  PromptTooLongError,
  type SampleRequest,
  type TextOptions,
  type UnifiedModel,
} from '../models/unified';
import { UnknownWordsError } from '../text';
import type { Ask, BenchmarkItem, Outputs } from './benchmark';
import { fitImage } from './fit-image';
import type { Protocol } from './protocol';
import { resultsOf } from './xcot';
import { imagesOf, sampleXcot } from './xcot-sample';

/**
 * What a model gave for an item. `unasked` says why the item could not be put to it: a word that it does not know, no
 * room in its sequence, an image of the item's own that cannot be read. Such an item says nothing about the model.
 */
export type Asked = Outputs & { readonly unasked?: string };

const greedy: TextOptions = { temperature: 0, maxNewTokens: 256 };

/** A request of an item and what came of it, or why there is none. */
type Wish<R> = { readonly item: BenchmarkItem } & ({ readonly request: R } | { readonly unasked: string });
type Got<S> = { readonly item: BenchmarkItem } & ({ readonly value: S } | { readonly unasked: string });

/**
 * Asks for all items in one batch. Random numbers are split off by an item's id, so that no item depends on its
 * neighbors; one that cannot be asked says why, and they are asked all the same.
 */
export async function askModel(
  model: UnifiedModel,
  items: readonly BenchmarkItem[],
  protocol: Protocol,
  rng: Rng,
): Promise<Asked[]> {
  const out = new Map<BenchmarkItem, Asked>([
    ...(await answerAll(model, items, protocol, rng)),
    ...(await drawAll(model, items, protocol, rng)),
  ]);
  return items.map((item) => out.get(item) ?? unasked('it is no question and no prompt'));
}

const unasked = (reason: string): Asked => ({ texts: [], images: [], unasked: reason });

/** @returns the reason when an item cannot be asked @throws everything else */
function reasonOf(error: unknown): string {
  if (error instanceof UnknownWordsError) return `the model has no word ${quoted(error.words)}`;
  if (error instanceof PromptTooLongError) return error.message;
  throw error;
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(', ');

const wish = <R>(item: BenchmarkItem, make: () => R): Wish<R> => {
  try {
    return { item, request: make() };
  } catch (error) {
    return { item, unasked: reasonOf(error) };
  }
};

/** All requests at once; where one of them has no room each by itself, which changes none: no sample depends on others. */
async function allOf<R, S>(
  wishes: readonly Wish<R>[],
  sample: (requests: readonly R[]) => readonly S[] | Promise<readonly S[]>,
): Promise<Got<S>[]> {
  const good = wishes.flatMap((one) => ('request' in one ? [one] : []));
  const got = new Map<Wish<R>, Got<S>>();
  const ask = async (some: typeof good) => {
    const values = await sample(some.map(({ request }) => request));
    some.forEach((one, i) => got.set(one, { item: one.item, value: values[i] }));
  };
  try {
    if (good.length > 0) await ask(good);
  } catch (error) {
    reasonOf(error);
    for (const one of good)
      await ask([one]).catch((own: unknown) => got.set(one, { item: one.item, unasked: reasonOf(own) }));
  }
  return wishes.map((one) => ('request' in one ? (got.get(one) as Got<S>) : one));
}

/** Items of a kind with what they ask. */
const ofKind = <K extends Ask['kind']>(items: readonly BenchmarkItem[], kind: K) =>
  items.flatMap((item) => (item.ask.kind === kind ? [{ item, ask: item.ask as Extract<Ask, { kind: K }> }] : []));

async function answerAll(
  model: UnifiedModel,
  items: readonly BenchmarkItem[],
  protocol: Protocol,
  rng: Rng,
): Promise<(readonly [BenchmarkItem, Asked])[]> {
  const wishes: Wish<SampleRequest>[] = [];
  for (const { item, ask } of ofKind(items, 'answer')) {
    const parts = await read(() => (protocol.subjects === 'learned' ? ask.parts : (ask.inWords ?? ask.parts))());
    wishes.push(
      typeof parts === 'string'
        ? { item, unasked: parts }
        : wish(item, () => ({
            prompt: model.prompt(fitted(model, withInstruction(parts, protocol), protocol), 'understand'),
            rng: rng.split(item.id),
          })),
    );
  }
  const said = await allOf(wishes, (requests) => model.sampleText(requests, { ...greedy, ...protocol.text }));
  return said.map((one) => [
    one.item,
    'unasked' in one ? unasked(one.unasked) : { texts: [one.value.text], images: [] },
  ]);
}

/** What an item reads from files, or why it cannot: a header may be whole and the pixels not, and that is its own fault. */
async function read<T extends object>(files: () => Promise<T>): Promise<T | string> {
  try {
    return await files();
  } catch (error) {
    return (error as Error).message;
  }
}

const fitted = (model: UnifiedModel, parts: readonly (string | Image)[], { fit = 'crop' }: Protocol) =>
  parts.map((part) => (typeof part === 'string' ? part : fitImage(model, part, fit)));

function withInstruction(parts: readonly (string | Image)[], { instruction }: Protocol): readonly (string | Image)[] {
  const last = parts.at(-1);
  return instruction && typeof last === 'string' ? [...parts.slice(0, -1), `${last}\n${instruction}`] : parts;
}

interface Wanted {
  readonly item: BenchmarkItem;
  readonly ask: Extract<Ask, { kind: 'image' }>;
}

async function drawAll(
  model: UnifiedModel,
  items: readonly BenchmarkItem[],
  protocol: Protocol,
  rng: Rng,
): Promise<(readonly [BenchmarkItem, Asked])[]> {
  const wanted = ofKind(items, 'image');
  const isShown = ({ ask }: Wanted) => protocol.subjects === 'shown' && ask.references !== undefined;
  const told = wanted.filter((one) => !isShown(one));
  const reasons = await reasonAll(model, told, protocol, rng);
  const drawn = [
    ...(await decoded(model, await drawTold(model, told, reasons, protocol, rng))),
    ...(await drawShown(model, wanted.filter(isShown), protocol, rng)),
  ];
  const out: (readonly [BenchmarkItem, Asked])[] = [];
  for (const { item, ask } of wanted) {
    const own = drawn.filter((one) => one.item === item);
    const images = own.flatMap((one) => ('value' in one && one.value ? [one.value] : []));
    const reason = reasons.get(item);
    const [about] = await aboutOwnImages(model, { item, ask }, images, protocol, rng);
    const refused = [...own, ...(about ? [about] : [])].find((one) => 'unasked' in one);
    const texts = [
      ...(reason && 'value' in reason ? [reason.value] : []),
      ...(about && 'value' in about ? about.value : []),
    ];
    out.push([item, refused && 'unasked' in refused ? unasked(refused.unasked) : { texts, images }]);
  }
  return out;
}

/** What the model says before it draws, for those items that ask it. */
async function reasonAll(
  model: UnifiedModel,
  wanted: readonly Wanted[],
  { subjects, text }: Protocol,
  rng: Rng,
): Promise<ReadonlyMap<BenchmarkItem, Got<string>>> {
  const wishes = wanted.flatMap(({ item, ask: { reason } }) => {
    if (!reason) return [];
    const question = subjects === 'learned' ? reason.question : (reason.inWords ?? reason.question);
    const make = () => ({ prompt: model.prompt([question], 'understand'), rng: rng.split(item.id).split('reason') });
    return [wish(item, make)];
  });
  const said = await allOf(wishes, (requests) =>
    model.sampleText(requests, { ...greedy, ...text }).map((segment) => segment.text),
  );
  return new Map(said.map((one) => [one.item, one]));
}

/** `samples` segments an item, from its prompt in words. */
async function drawTold(
  model: UnifiedModel,
  wanted: readonly Wanted[],
  reasons: ReadonlyMap<BenchmarkItem, Got<string>>,
  { subjects, image, samples = 1 }: Protocol,
  rng: Rng,
): Promise<Got<ImageSegment>[]> {
  const wishes = wanted.flatMap(({ item, ask }): Wish<SampleRequest>[] => {
    const reason = reasons.get(item);
    if (reason && 'unasked' in reason) return [reason];
    const said = subjects === 'learned' ? ask.prompt : (ask.inWords ?? ask.prompt);
    const plain = () => model.prompt([said], 'generate');
    const completed = () =>
      reason && ask.reason ? model.prompt([ask.reason.complete(said, reason.value)], 'generate') : plain();
    const whole = wish<Prompt>(item, completed);
    // An answer that leaves no room is the model's own doing: it draws without it.
    const prompt = reason && 'unasked' in whole ? wish<Prompt>(item, plain) : whole;
    // One prompt for all of an item's images, so that the model reads it once.
    return copies(prompt, samples, rng);
  });
  return allOf(wishes, (requests) => model.imageSampler(requests, image).finish());
}

/** Each with random numbers of its own. */
const copies = (prompt: Wish<Prompt>, samples: number, rng: Rng): Wish<SampleRequest>[] =>
  'unasked' in prompt
    ? [prompt]
    : Array.from({ length: samples }, (_, k) => ({
        item: prompt.item,
        request: { prompt: prompt.request, rng: rng.split(prompt.item.id).split(k) },
      }));

/** `samples` images an item, of a subject that the model is shown; undefined where the sequence came to no image. */
async function drawShown(
  model: UnifiedModel,
  wanted: readonly Wanted[],
  { samples = 1, structure = 'free', fit = 'crop', text, image }: Protocol,
  rng: Rng,
): Promise<Got<Image | undefined>[]> {
  type Request = Parameters<typeof sampleXcot>[1][number];
  const task = { free: 'interleave', direct: 'generate', guided: 'understand' } as const;
  const wishes: Wish<Request>[] = [];
  for (const { item, ask } of wanted) {
    const references = await read(() => ask.references?.() ?? Promise.resolve([]));
    if (typeof references === 'string') wishes.push({ item, unasked: references });
    else if (references.length === 0) wishes.push({ item, unasked: 'there is no image of the subject' });
    else {
      const [first, ...others] = references.map((one) => fitImage(model, one, fit));
      const example = { prompt: ask.inWords ?? ask.prompt, references: [first, ...others] as [Image, ...Image[]] };
      const able = wish(item, () => model.prompt([first, example.prompt], task[structure]));
      for (let k = 0; k < ('request' in able ? samples : 1); k++)
        wishes.push('request' in able ? { item, request: { example, rng: rng.split(item.id).split(k) } } : able);
    }
  }
  return allOf(wishes, async (requests) =>
    resultsOf(model, await sampleXcot(model, requests, { structure, text, image }), structure),
  );
}

/** Codes as images, those of one grid together. */
async function decoded(model: UnifiedModel, drawn: readonly Got<ImageSegment>[]): Promise<Got<Image>[]> {
  const segments = drawn.flatMap((one) => ('value' in one ? [one.value] : []));
  const images = new Map<ImageSegment, Image>();
  for (const grid of new Set(segments.map((segment) => segment.grid.join()))) {
    const same = segments.filter((segment) => segment.grid.join() === grid);
    (await imagesOf(model, same)).forEach((image, i) => images.set(same[i], image));
  }
  return drawn.map((one) => ('value' in one ? { item: one.item, value: images.get(one.value) as Image } : one));
}

/** Greedy answers about each image that the model drew, in the order of the questions; none where nothing is asked. */
async function aboutOwnImages(
  model: UnifiedModel,
  { item, ask: { thenAsked = [] } }: Wanted,
  images: readonly Image[],
  { text }: Protocol,
  rng: Rng,
): Promise<Got<string[]>[]> {
  if (thenAsked.length === 0 || images.length === 0) return [];
  const requests = wish(item, () =>
    images.flatMap((image, k) =>
      thenAsked.map((question) => ({
        prompt: model.prompt([image, question], 'understand'),
        rng: rng.split(item.id).split(`image ${k}`).split(question),
      })),
    ),
  );
  return allOf([requests], ([all]) => [model.sampleText(all, { ...greedy, ...text }).map((segment) => segment.text)]);
}
