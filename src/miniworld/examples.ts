/** Training examples from scenes, with the fields of CoRL's data. */
import type { Rng } from '../engine/random';
import { captionOf } from './captions';
import { questionsOf, type QuestionType } from './questions';
import { renderScene } from './render';
import { sampleScene, type Scene, type SceneKind } from './scene';
import type { SpriteSheet } from './sprites';
import type { Split } from './world';

/** An image with its caption, one question, and the whole truth. */
export interface SceneExample {
  /** RGB bytes `[64, 64, 3]` */
  readonly pixels: Uint8Array;
  readonly prompt: string;
  readonly qa_problem: string;
  readonly qa_solution: string;
  readonly qa_type: QuestionType;
  readonly scene: Scene;
}

/**
 * Draws an example: question types that fit the scene are equally likely.
 * @param kind default: at random, see {@link sampleScene}
 */
export function sceneExample(rng: Rng, split: Split, sprites: SpriteSheet, kind?: SceneKind): SceneExample {
  const scene = sampleScene(rng, split, kind);
  const prompt = captionOf(scene, rng);
  const questions = questionsOf(scene, rng);
  const type = rng.pick([...new Set(questions.map((q) => q.type))]);
  const question = questions.find((q) => q.type === type) ?? questions[0];
  return {
    pixels: renderScene(scene, sprites),
    prompt,
    qa_problem: question.problem,
    qa_solution: question.solution,
    qa_type: question.type,
    scene,
  };
}
