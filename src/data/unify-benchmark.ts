/**
 * UnifyBench and UnifyBench++ as a benchmark (UniCTokens-R1, Sec. 4.1 and App. G): what a model knows of a concept that
 * it learned, and how it draws it. Columns under the papers' names, with the name of who scores:
 *
 *   rec                        mean of positive and negative recall
 *   vqa, qa, rea: bleu, JUDGE  answers about images, from text alone, and the fact that fits a prompt
 *   dense_rea/JUDGE            what a dense prompt leaves to be known, said in words
 *   pure, rea: CLIP-T, CLIP-I  a photo of the concept; prompts that a fact completes, scored against the explicit prompt
 *   dense_gen, dense_rea_gen: JUDGE, CLIP-I   share of the explicit prompt's clauses that can be seen
 */
import type { Image } from '../io';
import { unifybenchBleu } from '../text/bleu';
import type { Benchmark, BenchmarkItem, Column, ItemScore, Outputs } from './benchmark';
import { BenchmarkTask } from './benchmark-task';
import { meanColumn, ruleColumn } from './columns';
import type { ConditionKey } from './concept-schema';
import { loadItemImage } from './item-images';
import { collectItems, type Read } from './items';
import { type ChatJudge, type ImageScorer, replyValue } from './judges';
import { attributeQuestion, inClassWords, type TextStyle } from './personalization';
import { answerRubric, clauseRubric } from './rubrics';
import { denseClauses, denseScore, unifyRecognition, unifyRecognitionHit, type UnifyRecord } from './rules/unify-bench';
import { imageScores } from './score-images';
import {
  readUnifyConcepts,
  readUnifyPrompts,
  readUnifyQuestions,
  type UnifyConcept,
  type UnifyPrompt,
} from './unify-bench';

/** What is asked for: texts, then images. */
type Part = 'rec' | 'vqa' | 'qa' | 'rea' | 'dense_rea' | 'pure' | 'rea_gen' | 'dense_gen' | 'dense_rea_gen';

export interface UnifyAsk extends BenchmarkItem {
  readonly part: Part;
  readonly question: string;
  /** The expected answer, or the explicit prompt. */
  readonly truth: string;
}

/** What was said about an answer with a known truth; null for images. */
export type UnifyDetail = UnifyRecord | null;

export interface UnifyJudges {
  /** CLIP-T first, then CLIP-I and whatever else. */
  readonly scorers: readonly ImageScorer[];
  /** In place of the papers' GPT-4o. */
  readonly judge?: ChatJudge;
}

export interface UnifyOptions extends UnifyJudges {
  /** How facts and questions are put together. Default `plain`. */
  readonly style?: TextStyle;
}

export function unifyBenchmark(folder: string, options: UnifyOptions): Benchmark<UnifyAsk, UnifyDetail> {
  const { scorers, judge, style } = options;
  return {
    name: 'unifybench',
    judges: ['rule', ...scorers.map(({ name }) => name), ...(judge ? [judge.name] : [])],
    columns: unifyColumns(scorers, judge),
    missing: judge ? undefined : ['the columns of GPT-4o: they take a judge'],
    items: () => unifyItems(folder, style),
    score: (item, outputs) => scoreUnify(item, outputs, options),
  };
}

/** UnifyBench as a task. */
export const unifyTask = (folder: string, options: UnifyOptions) => new BenchmarkTask(unifyBenchmark(folder, options));

function unifyColumns(scorers: readonly ImageScorer[], judge?: ChatJudge): Column<UnifyDetail>[] {
  const graded = (part: string) => (judge ? [meanColumn(`${part}/${judge.name}`)] : []);
  const seen = (part: string) => scorers.map(({ name }) => meanColumn(`${part}/${name}`));
  const recognition = ruleColumn<UnifyDetail>(
    'rec',
    ({ detail, scores }) => detail !== null && 'rec' in scores,
    (items) => unifyRecognition(items.flatMap(({ detail }) => detail ?? [])).weight,
  );
  return [
    recognition,
    meanColumn('rea/bleu'),
    ...graded('dense_rea'),
    ...['vqa', 'qa'].flatMap((part) => [meanColumn(`${part}/bleu`), ...graded(part)]),
    ...seen('pure'),
    ...graded('dense_gen'),
    ...seen('dense_gen'),
    ...seen('rea_gen'),
    ...graded('dense_rea_gen'),
    ...seen('dense_rea_gen'),
  ];
}

async function scoreUnify(
  { part, ask, question, truth }: UnifyAsk,
  { texts, images }: Outputs,
  { scorers, judge }: UnifyJudges,
): Promise<ItemScore<UnifyDetail>> {
  if (ask.kind === 'image') {
    const references = (await ask.references?.()) ?? [];
    const scores = await imageScores(scorers, images, truth, references);
    const clauses = part.startsWith('dense') && judge ? await clauseShare(judge, images, truth, references) : {};
    const all = Object.entries({ ...scores, ...clauses }).map(([name, value]) => [`${part}/${name}`, value] as const);
    return { scores: Object.fromEntries(all), detail: null };
  }
  const [prediction = ''] = texts;
  const detail = { truth, prediction };
  if (part === 'rec') return { scores: { rec: unifyRecognitionHit(detail) ? 1 : 0 }, detail };
  const grade = judge
    ? replyValue((await judge.ask([answerRubric.request(question, truth, prediction)], answerRubric.read))[0])
    : undefined;
  const scores = {
    ...(part === 'dense_rea' ? {} : { [`${part}/bleu`]: unifybenchBleu(prediction, truth) }),
    ...(judge && grade !== undefined ? { [`${part}/${judge.name}`]: grade } : {}),
  };
  return { scores, detail };
}

/** Mean over images of the share of clauses that can be seen. */
async function clauseShare(
  judge: ChatJudge,
  images: readonly Image[],
  prompt: string,
  references: readonly Image[],
): Promise<Record<string, number>> {
  const clauses = denseClauses(prompt);
  if (clauses.length === 0) return {};
  if (images.length === 0) return { [judge.name]: 0 };
  const requests = images.flatMap((image) => clauses.map((clause) => clauseRubric.request(image, clause, references)));
  const judged = (await judge.ask(requests, clauseRubric.read)).map(replyValue);
  return { [judge.name]: denseScore(judged) ?? 0 };
}

async function* unifyItems(folder: string, style: TextStyle = 'plain'): AsyncGenerator<Read<UnifyAsk>> {
  const { items: concepts, errors } = await collectItems(readUnifyConcepts(folder));
  for (const error of errors) yield { error };
  const byName = new Map(concepts.map((concept) => [concept.id, concept]));
  for await (const read of readUnifyQuestions(folder)) {
    if ('error' in read) yield read;
    else {
      const { id, concept: name, kind, image, question, answer } = read.item;
      const concept = byName.get(name);
      const part = kind === 'text_only' ? 'qa' : kind;
      if (concept) yield { item: textAsk(concept, { id, part, question, answer, image, style }) };
    }
  }
  const { items: prompts, errors: others } = await collectItems(readUnifyPrompts(folder));
  for (const error of others) yield { error };
  for (const concept of concepts) {
    const own = prompts.filter((prompt) => prompt.concept === concept.id);
    for (const item of promptItems(concept, own, style)) yield { item };
  }
}

const named = ({ id }: UnifyConcept, text: string): string => text.split(`<${id}>`).join('<sks>');

interface Asked {
  readonly id: string;
  readonly part: Part;
  readonly question: string;
  readonly answer: string;
  readonly image?: string;
  readonly style: TextStyle;
}

function textAsk(concept: UnifyConcept, { id, part, question, answer, image, style }: Asked): UnifyAsk {
  const text = named(concept, question);
  const withImage = async (said: string) => [...(image === undefined ? [] : [await loadItemImage(image)]), said];
  const told =
    style === 'spaced'
      ? inClassWords(concept.class, `${named(concept, concept.info)} ${text}`)
      : `The subject: ${concept.info}\n${inClassWords(concept.class, text)}`;
  return {
    id,
    cluster: concept.id,
    subject: concept.id,
    part,
    question: text,
    truth: named(concept, answer),
    ask: { kind: 'answer', parts: () => withImage(text), inWords: () => withImage(told) },
  };
}

function* promptItems(concept: UnifyConcept, prompts: readonly UnifyPrompt[], style: TextStyle): Generator<UnifyAsk> {
  const of = (kind: ConditionKey) =>
    prompts.filter((prompt) => prompt.kind === kind).map(({ prompt }) => named(concept, prompt));
  const facts = concept.facts.map((fact) => named(concept, fact));
  const testing = facts.length - concept.testingFacts;
  const image = (part: Part, i: number, prompt: string, explicit: string): UnifyAsk => ({
    id: `${concept.id}, ${part} ${i + 1}`,
    cluster: concept.id,
    subject: concept.id,
    part,
    question: prompt,
    truth: explicit,
    ask: {
      kind: 'image',
      prompt,
      inWords: inClassWords(concept.class, prompt),
      references: () => Promise.all(concept.images.map(loadItemImage)),
    },
  });
  yield image('pure', 0, 'a photo of <sks>', inClassWords(concept.class, 'a photo of <sks>'));
  const driven = of('personalized_driven_generation');
  const drivenExplicit = of('explicit_personalized_driven_generation');
  for (const [i, prompt] of driven.entries()) {
    if (i < testing || i >= facts.length) continue;
    const question = attributeQuestion(facts, prompt, style);
    yield textAsk(concept, { id: `${concept.id}, rea ${i + 1}`, part: 'rea', question, answer: facts[i], style });
    yield image('rea_gen', i, prompt, drivenExplicit[i] ?? prompt);
  }
  const dense = of('dense_prompt_generation');
  for (const [i, prompt] of dense.entries())
    yield image('dense_gen', i, prompt, of('explicit_dense_prompt_generation')[i] ?? prompt);
  const denseExplicit = of('explicit_personalized_dense_prompt_generation');
  for (const [i, prompt] of of('personalized_dense_prompt_generation').entries()) {
    const question = attributeQuestion(facts, prompt, style);
    const answer = denseExplicit[i] ?? prompt;
    yield textAsk(concept, { id: `${concept.id}, dense_rea ${i + 1}`, part: 'dense_rea', question, answer, style });
    yield image('dense_rea_gen', i, prompt, answer);
  }
}
