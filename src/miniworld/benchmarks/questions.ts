/**
 * `mini-mcq`, `mini-open` and `mini-pope`: questions about scenes with a combination of object and color that training
 * never showed, as one of four letters (VLMEvalKit's rules), in free words, and as yes or no (POPE's rule).
 */
import type { Rng } from '../../engine';
import { multipleChoiceHit, readPope, type YesNo, yesNoScores } from '../../eval';
import { answerAccuracy } from '../../rewards';
import { answerIn } from '../../text';
import { shortName } from '../captions';
import { type Question, questionsOf, type QuestionType } from '../questions';
import { renderScene } from '../render';
import { sampleScene, type Scene, SCENE_KINDS } from '../scene';
import type { SpriteSheet } from '../sprites';
import { canChoose, choiceQuestion, LETTERS } from '../thinking';
import { COLORS, HELD_OUT_COMBINATIONS, isHeldOut, OBJECTS } from '../world';
import { askedAbout, byTurns, distinct, imageOf, type MiniBenchmark, type MiniItem } from './benchmark';
import { sceneKey } from './math';

/** Kinds of scenes that hold a combination. */
const KINDS = SCENE_KINDS.filter((kind) => kind !== 'subject');

export const OPEN_TAGS = ['what', 'how_many', 'what_colour', 'where', 'side', 'relation', 'who'] as const;
export const CHOICE_TAGS = ['what', 'how_many', 'what_colour', 'where', 'relation', 'who'] as const;

export interface SceneQuestion {
  readonly scene: Scene;
  readonly question: Question;
}

/** Distinct held-out questions of a type, scenes with every held-out combination among them. */
export function heldOutQuestions(type: QuestionType, count: number, rng: Rng): SceneQuestion[] {
  return distinct(
    `questions of type ${type}`,
    count,
    HELD_OUT_COMBINATIONS.length,
    (kind, attempt) => sceneQuestion(type, HELD_OUT_COMBINATIONS[kind].object, rng.split(type).split(attempt)),
    ({ scene, question }) => `${question.problem} ${sceneKey(scene)}`,
  );
}

/** A scene with the held-out combination of this object, and a question of this type about it. */
function sceneQuestion(type: QuestionType, object: string, rng: Rng): SceneQuestion {
  for (let attempt = 0; attempt < 2000; attempt++) {
    const own = rng.split(attempt);
    const scene = sampleScene(own, 'heldout', own.pick(KINDS));
    if (!scene.items.some((item) => item.object === object && isHeldOut(item.object, item.color))) continue;
    const question = questionsOf(scene, own).find((one) => one.type === type);
    if (question) return { scene, question };
  }
  throw new RangeError(`no held-out scene with a ${object} has a question of type ${type}`);
}

const asked = (tag: string, scene: Scene, text: string, sprites: SpriteSheet) => ({
  id: `${tag}: ${text} ${sceneKey(scene)}`,
  ask: askedAbout(imageOf(renderScene(scene, sprites)), text),
});

export const miniOpen: MiniBenchmark = {
  name: 'mini-open',
  about: 'questions in free words by type; an answer is right when it is equal; overall: the plain mean over types',
  columns: OPEN_TAGS,
  overall: OPEN_TAGS,
  items: (count, rng, sprites) =>
    byTurns(
      OPEN_TAGS.map((tag) =>
        heldOutQuestions(tag, count, rng).map(({ scene, question: { problem, solution } }): MiniItem => ({
          ...asked(tag, scene, problem, sprites),
          hear: (answer) => ({ [tag]: answerAccuracy(answer, { solution, problem }).value }),
        })),
      ),
    ),
};

/** The answer with its letter as the rules read it; the mini models write lower case. */
export function choiceAnswer(text: string): string {
  const answer = answerIn(text);
  const letter = LETTERS.find((one) => one.toLowerCase() === answer.toLowerCase().replace(/[ .]+$/, ''));
  return letter ?? answer;
}

export const miniMcq: MiniBenchmark = {
  name: 'mini-mcq',
  about: "four options by type; read by VLMEvalKit's rules; overall: the plain mean over types (chance: 25%)",
  columns: CHOICE_TAGS,
  overall: CHOICE_TAGS,
  items: (count, rng, sprites) =>
    byTurns(
      CHOICE_TAGS.map((tag) =>
        heldOutQuestions(tag, count, rng)
          .filter(({ question }) => canChoose(question))
          .map(({ scene, question }, i): MiniItem => {
            const { text, choices, solution } = choiceQuestion(question, rng.split(`options ${tag}`).split(i));
            const hit = (answer: string) =>
              multipleChoiceHit({ prediction: choiceAnswer(answer), answer: solution, choices });
            return { ...asked(tag, scene, text, sprites), hear: (answer) => ({ [tag]: hit(answer) ? 1 : 0 }) };
          }),
      ),
    ),
};

/** How what is not there is chosen: any other name, or the object of the image in a color that it has not. */
export const POPE_TAGS = ['random', 'adversarial'] as const;

/** Half of the questions have the answer yes. */
function popeQuestion(tag: (typeof POPE_TAGS)[number], kind: number, yes: boolean, rng: Rng): SceneQuestion {
  const { scene } = sceneQuestion('where', HELD_OUT_COMBINATIONS[kind].object, rng.split('scene'));
  const present = scene.items.filter(({ category }) => category === 'object');
  const names = new Set(present.map(shortName));
  const objects = tag === 'adversarial' ? present.map(({ object }) => object) : OBJECTS;
  const absent = objects
    .flatMap((object) => COLORS.map((color) => `${color} ${object}`))
    .filter((name) => !names.has(name));
  const name = rng.pick(yes ? [...names] : absent);
  const question: Question = { type: 'yes_no', problem: `is there a ${name} ?`, solution: yes ? 'yes' : 'no' };
  return { scene, question };
}

export function popeQuestions(tag: (typeof POPE_TAGS)[number], count: number, rng: Rng): SceneQuestion[] {
  const kinds = HELD_OUT_COMBINATIONS.length;
  return distinct(
    `mini-pope ${tag}`,
    count,
    2 * kinds,
    (kind, attempt) => popeQuestion(tag, kind >> 1, kind % 2 === 0, rng.split(tag).split(attempt)),
    ({ scene, question }) => `${question.problem} ${sceneKey(scene)}`,
  );
}

export const miniPope: MiniBenchmark = {
  name: 'mini-pope',
  about:
    "is something there, yes or no, read by POPE's rule; accuracy, for random and adversarial names, and of both answers",
  columns: [...POPE_TAGS, 'yes', 'no', 'yes_ratio'],
  overall: POPE_TAGS,
  items: (count, rng, sprites) =>
    byTurns(
      POPE_TAGS.map((tag) =>
        popeQuestions(tag, count, rng).map(({ scene, question: { problem, solution } }): MiniItem => ({
          ...asked(tag, scene, problem, sprites),
          hear: (answer) => popeScores(tag, readPope(answerIn(answer)), solution as YesNo),
        })),
      ),
    ),
};

function popeScores(tag: string, reading: YesNo, label: YesNo): Record<string, number> {
  const { accuracy, yesRatio } = yesNoScores([reading], [label]);
  return { [tag]: accuracy, [label]: accuracy, yes_ratio: yesRatio };
}
