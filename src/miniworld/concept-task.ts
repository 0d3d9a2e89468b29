/**
 * A concept of the mini world as a personalization task. Its evaluation asks for held-out facts and for plain prompts
 * with things and places that training never asked for, and has the images read by a detector that no reward uses.
 */
import {
  attributeExample,
  attributeQuestion,
  compoundPrompt,
  type Pathway,
  PATHWAYS,
  type PersonalizationTask,
  type Subject,
  type SubjectExample,
  type SubjectTruth,
  visualExample,
} from '../data/personalization';
import { type EvaluatedItem, type Evaluation, evaluationOf, type EvaluationOptions } from '../data/task';
import { type Rng, tf } from '../engine';
import { type Image, tensorToImages } from '../io';
import type { SampleRequest, TextSegment, UnifiedModel } from '../models/unified';
import {
  conceptPrompts,
  conceptQuestions,
  type PromptTruth,
  tiaExamples,
  type ViaExample,
  viaExamples,
} from './concept-examples';
import { conceptReferences, describeConceptScene } from './concept-images';
import { type Concept, conceptFacts, CONCEPTS, findConcept } from './concepts';
import { scoreConcept, SceneDetector, SubjectSimilarity } from './detector';
import { factSolution, factText } from './facts';
import { loadSprites } from './sprites';

/** Held-out items of an evaluation: each another prompt. */
const HELD_OUT_PROMPTS = 96;

interface HeldOutItem {
  readonly prompt: string;
  /** What is asked before the image; a plain prompt needs no answer. */
  readonly question?: string;
  readonly solution?: string;
  readonly truth: PromptTruth;
}

/** Metrics of {@link ConceptTask.evaluate}; probabilities, but `subject_similarity`, a cosine, and `reasoning`, 0 or 1. */
export const CONCEPT_METRICS = [
  'subject_similarity',
  'shown',
  'identity',
  'object',
  'background',
  'reasoning',
] as const;
export type ConceptMetric = (typeof CONCEPT_METRICS)[number];

export class ConceptTask implements PersonalizationTask {
  readonly name: string;

  private constructor(
    readonly concept: Concept,
    readonly subject: Subject,
    /** Questions about the references, and what other concepts' images are asked. */
    private readonly questions: readonly ViaExample[],
    private readonly otherQuestions: readonly ViaExample[],
    private readonly detector: SceneDetector,
    private readonly similarity: SubjectSimilarity,
  ) {
    this.name = `mini-world concept ${concept.name}`;
  }

  /** @throws Error naming the known concepts for an unknown one */
  static async open(name: string): Promise<ConceptTask> {
    const concept = findConcept(name);
    const sprites = await loadSprites();
    const detector = await SceneDetector.load();
    const references = conceptReferences(concept, 'train', sprites).map((reference) => ({
      image: imageOf(reference.pixels),
      caption: `a photo of ${describeConceptScene(reference.scene)}`,
      questions: conceptQuestions(concept, reference).map(({ problem, solution }) => ({
        question: problem,
        answer: solution,
      })),
    }));
    const subject: Subject = {
      name,
      kind: concept.kind,
      className: concept.class,
      references,
      facts: conceptFacts(concept, 'train').map((fact) => factText(fact)),
      style: 'spaced',
    };
    const questionsOf = (one: Concept) =>
      viaExamples(one, 'train', sprites).filter(({ solution }) => solution !== '<sks>');
    const others = CONCEPTS.filter((other) => other.name !== name).flatMap(questionsOf);
    const similarity = SubjectSimilarity.of(detector, concept, sprites);
    return new ConceptTask(concept, subject, questionsOf(concept), others, detector, similarity);
  }

  sample(rng: Rng, pathway: Pathway = rng.split('pathway').pick(PATHWAYS)): SubjectExample {
    return pathway === 'via' ? this.visual(rng.split('via')) : this.attribute(rng.split('tia'));
  }

  /** Reasons where a fact is asked for, draws, and has every image read by the detector. */
  async evaluate(model: UnifiedModel, rng: Rng, options: EvaluationOptions = {}): Promise<Evaluation> {
    const { count = HELD_OUT_PROMPTS, batchSize = 32 } = options;
    const held = heldOutItems(this.concept, count, rng.split('prompts'));
    const items: EvaluatedItem[] = [];
    for (let from = 0; from < held.length; from += batchSize) {
      const part = held.slice(from, from + batchSize);
      const rngs = part.map((_, i) => rng.split('item').split(from + i));
      items.push(...(await this.evaluateBatch(model, part, rngs, options)));
    }
    return evaluationOf(items);
  }

  private async evaluateBatch(
    model: UnifiedModel,
    part: readonly HeldOutItem[],
    rngs: readonly Rng[],
    { text, image }: EvaluationOptions,
  ): Promise<EvaluatedItem[]> {
    const answers = answersTo(model, part, rngs, text);
    const requests = part.map(({ prompt }, i): SampleRequest => {
      const answer = answers.get(i);
      const complete = answer === undefined ? prompt : compoundPrompt(prompt, answer.text, 'spaced');
      return { prompt: model.prompt([complete], 'generate'), rng: rngs[i].split('image') };
    });
    const segments = model.imageSampler(requests, image).finish();
    const pixels = tf.tidy(() =>
      tf.clipByValue(
        model.imageTokenizer.decode(
          segments.map(({ codes }) => codes),
          segments[0].grid,
        ),
        -1,
        1,
      ),
    );
    try {
      const detections = this.detector.detect(pixels);
      const similarity = this.similarity.score(pixels);
      const images = await tensorToImages(pixels);
      return part.map(({ prompt, solution, truth }, i) => {
        const { mean, object, identity, background } = scoreConcept(detections[i], this.concept.name, truth);
        const text = answers.get(i)?.text;
        const scores: Record<string, number> = {
          subject_similarity: similarity[i],
          shown: mean,
          identity,
          background: background,
        };
        if (object !== null) scores.object = object;
        if (text !== undefined) scores.reasoning = text === solution ? 1 : 0;
        return { prompt, text, image: images[i], scores };
      });
    } finally {
      pixels.dispose();
    }
  }

  private visual(rng: Rng): SubjectExample {
    const { problem, solution, index } = rng.pick(this.questions);
    const wrong = this.otherQuestions.filter((other) => other.problem === problem).map((other) => other.solution);
    const asked = { question: problem, answer: solution };
    const reference = this.subject.references[index];
    return visualExample(this.subject, reference, asked, wrong, rng, (truth: SubjectTruth) => truth);
  }

  /** Held-out facts stand in no training question. */
  private attribute(rng: Rng): SubjectExample {
    const facts = conceptFacts(this.concept, 'train');
    const { prompt, solution } = rng.pick(tiaExamples(this.concept, 'train', rng));
    const candidates = facts.map(factSolution);
    const truth = { candidates, correct: candidates.indexOf(solution) };
    const told = rng.shuffle(this.subject.facts);
    return attributeExample(this.subject, { id: `tia ${prompt}`, prompt, facts: told, truth });
  }
}

const imageOf = (rgb: Uint8Array): Image => ({ width: 64, height: 64, rgb });

/** The answers of those items that ask for one, by place. */
function answersTo(
  model: UnifiedModel,
  part: readonly HeldOutItem[],
  rngs: readonly Rng[],
  text: EvaluationOptions['text'],
): Map<number, TextSegment> {
  const asking = part.flatMap(({ question }, i) => (question === undefined ? [] : [{ i, question }]));
  if (asking.length === 0) return new Map();
  const requests = asking.map(({ i, question }) => ({
    prompt: model.prompt([question], 'understand'),
    rng: rngs[i].split('answer'),
  }));
  return new Map(model.sampleText(requests, text).map((answer, k) => [asking[k].i, answer]));
}

/** `count` distinct prompts: every held-out fact in every opening, then plain prompts; no text stands twice. */
export function heldOutItems(concept: Concept, count: number, rng: Rng): HeldOutItem[] {
  const facts = concept.facts.map((fact) => factText(fact));
  const byFact = tiaExamples(concept, 'heldout', rng.split('facts')).map(({ prompt, solution, truth }, i) => ({
    prompt,
    question: attributeQuestion(rng.split('order').split(i).shuffle(facts), prompt, 'spaced'),
    solution,
    truth,
  }));
  const items = new Map<string, HeldOutItem>(byFact.map((item) => [item.prompt, item]));
  const plain = rng.split('plain');
  for (let round = 0; items.size < count; round++) {
    if (round === 20)
      throw new RangeError(
        `concept ${concept.name} has ${items.size} distinct held-out prompts, ${count} were asked for`,
      );
    for (const item of conceptPrompts(concept, 'heldout', count, plain.split(round)))
      if (!items.has(item.prompt)) items.set(item.prompt, item);
  }
  return [...items.values()].slice(0, count);
}
