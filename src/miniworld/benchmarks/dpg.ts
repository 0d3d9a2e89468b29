/**
 * `mini-dpg`: DPG-Bench's rule (Hu et al. 2024) on dense captions of held-out scenes. Each caption is cut into questions
 * that depend on one another: a child counts 0 where its parent was answered "no". The scene detector answers them.
 */
import type { Rng } from '../../engine';
import { dpgItemScore, type DpgQuestion } from '../../eval';
import { describeItem } from '../captions';
import type { Detections } from '../detector';
import { positionRight } from '../detector/score';
import { relationOf, sampleScene, type Scene } from '../scene';
import { BACKGROUND_PHRASES, HELD_OUT_COMBINATIONS, isHeldOut } from '../world';
import { distinct, type MiniBenchmark, type MiniItem } from './benchmark';

/** Kinds of the questions, level 1 of the published tables. */
export const DPG_LEVELS = ['entity', 'attribute', 'relation', 'global'] as const;

interface Asked extends DpgQuestion {
  readonly answer: (seen: Detections) => boolean;
}

export interface DpgPrompt {
  readonly prompt: string;
  readonly scene: Scene;
  readonly questions: readonly Asked[];
}

/** A dense caption: both figures, their relation and the background, and the questions that it is made of. */
export function dpgPrompt(scene: Scene): DpgPrompt {
  const [a, b] = scene.items;
  const prompt = `a photo of ${describeItem(a)} ${relationOf(a, b)} ${describeItem(b)} ${BACKGROUND_PHRASES[scene.background]}`;
  const questions: Asked[] = [];
  const ask = (tuple: string, dependency: readonly number[], answer: Asked['answer']) =>
    questions.push({ id: questions.length + 1, tuple, dependency, answer });
  const parents = scene.items.map(({ object }) =>
    ask(`entity - whole (${object})`, [0], (seen) => seen.items.some((item) => item.object === object)),
  );
  scene.items.forEach(({ object, color }, i) => {
    if (color === null) return;
    const isSo = (seen: Detections) => seen.items.some((item) => item.object === object && item.color === color);
    ask(`attribute - color (${object}, ${color})`, [parents[i]], isSo);
  });
  ask(`relation - spatial (${a.object}, ${b.object})`, parents, (seen) => positionRight(seen, scene) === true);
  ask(`global - background (${scene.background})`, [0], (seen) => seen.background === scene.background);
  return { prompt, scene, questions };
}

/** Distinct dense captions, every held-out combination equally often. */
export function dpgPrompts(count: number, rng: Rng): DpgPrompt[] {
  const make = (kind: number, attempt: number): DpgPrompt => {
    for (let i = 0; ; i++) {
      const own = rng.split(attempt).split(i);
      const scene = sampleScene(own, 'heldout', own.pick(['pair', 'subject+object'] as const));
      const { object } = HELD_OUT_COMBINATIONS[kind];
      if (scene.items.some((item) => item.object === object && isHeldOut(item.object, item.color)))
        return dpgPrompt(scene);
    }
  };
  return distinct('mini-dpg', count, HELD_OUT_COMBINATIONS.length, make, ({ prompt }) => prompt);
}

/** The rule's score of one image, and its share of each level, answers as given. */
export function dpgScores({ questions }: DpgPrompt, seen: Detections): Record<string, number> {
  const answers = questions.map(({ answer }) => (answer(seen) ? 'yes' : 'no'));
  const { score } = dpgItemScore({ questions, answers: [answers] });
  const levels = DPG_LEVELS.flatMap((level) => {
    const own = answers.filter((_, i) => questions[i].tuple.startsWith(level));
    return own.length > 0 ? [[level, own.filter((answer) => answer === 'yes').length / own.length] as const] : [];
  });
  return { score, ...Object.fromEntries(levels) };
}

export const miniDpg: MiniBenchmark = {
  name: 'mini-dpg',
  about: "dense captions as questions with parents (DPG-Bench's rule), answered by the scene detector",
  columns: ['score', ...DPG_LEVELS],
  items: (count, rng) =>
    dpgPrompts(count, rng).map((one): MiniItem => ({
      id: one.prompt,
      ask: { kind: 'image', prompt: one.prompt },
      look: (seen) => dpgScores(one, seen),
    })),
};
