/** What CoRL learns from in the mini world: scenes with captions, and questions about them whose answers are thought out. */
import type { CorlExample, CorlTask } from '../data/corl-task';
import { type EvaluatedItem, type Evaluation, evaluationOf, type EvaluationOptions } from '../data/task';
import type { Rng } from '../engine';
import type { UnifiedModel } from '../models/unified';
import { evaluateMini } from './benchmarks/benchmark';
import { miniGenEval } from './benchmarks/geneval';
import { MATH_TAGS, mathProblem, miniMath } from './benchmarks/math';
import { captionOf, inNumbers, shortName } from './captions';
import { type Question, questionsOf } from './questions';
import { renderScene } from './render';
import { sampleScene, type Scene } from './scene';
import { loadSprites, type SpriteSheet } from './sprites';
import { canChoose, choiceQuestion, THINK_FIRST, thinkThenAnswer, thoughtOf } from './thinking';
import { BACKGROUND_PHRASES, IMAGE_SIZE } from './world';

/** Which questions: of both kinds, choices alone, or free ones alone (the data of the unified and of the refined stages). */
export type QuestionMix = 'both' | 'mcq' | 'open';

/** Share of the examples that are about numbers. */
const NUMBERS = 0.5;

/** Held-out prompts of each tag in an evaluation. */
const HELD_OUT_PROMPTS = 96;

export class MiniCorlTask implements CorlTask {
  readonly name: string;

  private constructor(
    private readonly mix: QuestionMix,
    private readonly sprites: SpriteSheet,
  ) {
    this.name = `mini-world ${mix}`;
  }

  static async open(mix: QuestionMix = 'both'): Promise<MiniCorlTask> {
    return new MiniCorlTask(mix, await loadSprites());
  }

  /** Of split `train`: no combination of object and color that is held out. */
  sample(rng: Rng): CorlExample {
    const { scene, question, prompt } = rng.uniform() < NUMBERS ? numberExample(rng) : sceneExample(rng);
    const image = { width: IMAGE_SIZE, height: IMAGE_SIZE, rgb: renderScene(scene, this.sprites) };
    const asked = this.asked(question, rng.split('choice'));
    return {
      id: `${prompt} ${asked.text}`,
      prompt,
      references: [image],
      truth: asked.truth,
      question: [image, `${asked.text} ${THINK_FIRST}`],
      completion: thinkThenAnswer(thoughtOf(scene), asked.truth.solution.toLowerCase()),
    };
  }

  /** `mini-geneval` and `mini-math` on held-out prompts, as `NAME/TAG` and, over their tags, `NAME`. */
  async evaluate(model: UnifiedModel, rng: Rng, options: EvaluationOptions = {}): Promise<Evaluation> {
    const { count = HELD_OUT_PROMPTS, text, image, batchSize } = options;
    const items: EvaluatedItem[] = [];
    for (const benchmark of [miniGenEval, miniMath]) {
      const given = { count, image, text: { ...text, temperature: 0 }, batchSize, thinking: true };
      const { items: own } = await evaluateMini(benchmark, model, rng.split(benchmark.name), given);
      for (const item of own) {
        const scores = Object.entries(item.scores).flatMap(([tag, value]) => [
          [benchmark.name, value],
          [`${benchmark.name}/${tag}`, value],
        ]);
        items.push({ ...item, scores: Object.fromEntries(scores) as Record<string, number> });
      }
    }
    return evaluationOf(items);
  }

  private asked(question: Question, rng: Rng): { text: string; truth: CorlExample['truth'] } {
    const { problem, solution } = question;
    const chooses = canChoose(question) && (this.mix === 'mcq' || (this.mix === 'both' && rng.uniform() < 0.5));
    if (!chooses) return { text: problem, truth: { problem, solution, form: 'open_ended' } };
    const choice = choiceQuestion(question, rng);
    const truth = { problem: choice.problem, solution: choice.solution, form: 'multiple_choice' } as const;
    return { text: choice.text, truth };
  }
}

interface Described {
  readonly scene: Scene;
  readonly question: Question;
  readonly prompt: string;
}

function sceneExample(rng: Rng): Described {
  const scene = sampleScene(rng, 'train');
  const question = rng.pick(questionsOf(scene, rng));
  return { scene, question, prompt: captionOf(scene, rng) };
}

function numberExample(rng: Rng): Described {
  const problem = mathProblem(rng.pick(MATH_TAGS), rng, 'train');
  return { ...problem, prompt: numbersCaption(problem.scene) };
}

/** "two red cars and one blue hat in the snow": a number for each, so that no such scene is called what a pair is called. */
export const numbersCaption = ({ items, background }: Scene): string =>
  `${inNumbers(items.map(shortName), (name) => `one ${name}`)} ${BACKGROUND_PHRASES[background]}`;
