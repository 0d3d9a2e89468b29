/** What one training example asks (Sec. 3.2): the question of a pathway, and how its answer becomes the prompt of an image. */
import {
  type Concept,
  type TiaExample,
  type ViaExample,
  tiaExamples,
  viaExamples,
  withArticle,
  type SpriteSheet,
  CONCEPTS,
} from '../../miniworld';
import type { Rng } from '../../engine';

/** One request: everything a group shares. */
export interface SyncExample {
  readonly pathway: 'via' | 'tia';
  /** Question, with `<sks>`. */
  readonly question: string;
  /** The image that the question is about, RGB bytes; VIA only. */
  readonly image?: Uint8Array;
  /** The right answer, and all the answers it is told apart from (the right one included). */
  readonly solution: string;
  readonly candidates: readonly string[];
  readonly correct: number;
  /** The facts that were told; TIA only. */
  readonly facts: readonly string[];
  /** What is drawn without reasoning. */
  readonly prompt: string;
  /** The compound prompt: `prompt` and "<sks> is (answer)". */
  compound(answer: string): string;
  /** What the image shall show, where it is known. */
  readonly truth?: TiaExample['truth'];
}

/** Text attribute: the facts, a prompt, and the fact that fits it. */
export function tiaExample(concept: Concept, example: TiaExample): SyncExample {
  return {
    pathway: 'tia',
    question: example.problem,
    solution: example.solution,
    candidates: example.candidates,
    correct: example.correct,
    facts: example.candidates,
    prompt: example.prompt,
    compound: (answer) => `${example.prompt} . <sks> is ${answer}`,
    truth: example.truth,
  };
}

/**
 * Visual instruct: a question about a reference image.
 * The wrong answers are what the same question is answered for other concepts, up to three that differ.
 */
export function viaExample(
  concept: Concept,
  example: ViaExample,
  others: readonly ViaExample[],
  rng: Rng,
): SyncExample {
  const wrong = [
    ...new Set(others.filter((other) => other.problem === example.problem).map((other) => other.solution)),
  ].filter((answer) => answer !== example.solution);
  const candidates = rng.shuffle([example.solution, ...rng.shuffle(wrong).slice(0, 3)]);
  return {
    pathway: 'via',
    question: example.problem,
    image: example.image.pixels,
    solution: example.solution,
    candidates,
    correct: candidates.indexOf(example.solution),
    facts: [],
    prompt: 'a photo of <sks>',
    // The statement is the question turned round: the answer stands in it as it was given.
    compound: (answer) => `a photo of <sks> . ${example.statement.replace(example.solution, answer)}`,
  };
}

/** Draws the example of a step: the pathway at random among those allowed, then one of the concept's examples. */
export class ExampleSource {
  private readonly via: readonly ViaExample[];
  private readonly others: readonly ViaExample[];

  constructor(
    private readonly concept: Concept,
    sprites: SpriteSheet,
    private readonly pathways: readonly ('via' | 'tia')[],
  ) {
    if (pathways.length === 0) throw new RangeError('at least one of the pathways via and tia is needed');
    const usable = (example: ViaExample) =>
      example.solution !== '<sks>' && example.statement.includes(example.solution);
    this.via = viaExamples(concept, 'train', sprites).filter(usable);
    this.others = CONCEPTS.filter((other) => other.name !== concept.name).flatMap((other) =>
      viaExamples(other, 'train', sprites).filter(usable),
    );
  }

  draw(rng: Rng): SyncExample {
    const pathway = rng.pick(this.pathways);
    if (pathway === 'tia') return tiaExample(this.concept, rng.pick(tiaExamples(this.concept, 'train', rng)));
    return viaExample(this.concept, rng.pick(this.via), this.others, rng);
  }
}

/** A prompt as judges read it: `<sks>` is the concept's class, first with an article, then "the person". */
export function inClassWords(concept: Concept, prompt: string): string {
  let first = true;
  return prompt.replace(/<sks>/g, () => {
    const words = first ? withArticle(concept.class) : `the ${concept.class}`;
    first = false;
    return words;
  });
}
