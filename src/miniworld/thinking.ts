/**
 * Thinking before answering, in words of the mini world: what is in the image, thing by thing, then the answer. And the
 * form of multiple choice. The tags and three letters are new words to a model whose training knew none of them.
 */
import type { Rng } from '../engine';
import { HAIR_COLORS } from './people';
import { inNumbers, shortName, withArticle } from './captions';
import type { Question, QuestionType } from './questions';
import { PLACEMENTS, type Scene, type SceneItem } from './scene';
import { BACKGROUND_PHRASES, COLORS, NUMBER_WORDS, OBJECTS, SUBJECTS } from './world';

/** Words that thinking and choosing need, each with a word of the mini world that its rows start near. */
export const THINKING_WORDS: Readonly<Record<string, string>> = {
  '<think>': 'think',
  '</think>': 'then',
  '<answer>': 'answer',
  '</answer>': '.',
  b: 'two',
  c: 'three',
  d: 'four',
};

/** Said behind a question that is to be thought about. */
export const THINK_FIRST = 'think , then answer :';

/** What is in the image, from the upper left to the lower right: "red car , red car , blue hat". */
export function thoughtOf(scene: Scene): string {
  const inOrder = [...scene.items].sort((a, b) => a.y - b.y || a.x - b.x);
  return `${inOrder.map((item: SceneItem) => shortName(item)).join(' , ')} ${BACKGROUND_PHRASES[scene.background]}`;
}

/** `<think> .. </think> <answer> .. </answer>` as the mini world writes it. */
export const thinkThenAnswer = (thought: string, answer: string) =>
  `<think> ${thought} </think> <answer> ${answer} </answer>`;

/** The thought of a completion, cut where the tag closes or where an answer was cut off; without tags nothing is one. */
export const thoughtIn = (completion: string) => /<think>(.*?)(?:<\/think>|$)/.exec(completion)?.[1].trim() ?? '';

/** A thought as a caption says it, things of one name counted: "two red cars and a blue hat in the snow". */
export function countedThought(thought: string): string {
  const where = Object.values(BACKGROUND_PHRASES).find((phrase) => thought.endsWith(phrase)) ?? '';
  const names = thought.slice(0, thought.length - where.length).split(',');
  const named = inNumbers(names.map((name) => name.trim()).filter((name) => name !== ''));
  return `${named} ${where}`.trim();
}

export const LETTERS = ['A', 'B', 'C', 'D'] as const;

/** A question with four options, one of which is right. */
export interface ChoiceQuestion {
  readonly type: QuestionType;
  /** As the mini models read it: "what colour is the car ? a . red b . blue c . pink d . green". */
  readonly text: string;
  /** The same with the options on lines of their own (`A. red`). */
  readonly problem: string;
  readonly choices: Readonly<Record<string, string>>;
  /** The right letter. */
  readonly solution: string;
}

/** Whether a question can be put as a choice: one of yes and no has too few options. */
export const canChoose = ({ type }: Question) => type !== 'yes_no';

/** The question as a choice among four; which letter is right is at random. */
export function choiceQuestion({ type, problem, solution }: Question, rng: Rng): ChoiceQuestion {
  const others = rng.shuffle(alternatives(type, solution, rng).filter((other) => other !== solution)).slice(0, 3);
  const options = rng.shuffle([solution, ...others]);
  const lettered = options.map((option, i) => [LETTERS[i], option] as const);
  return {
    type,
    text: `${problem} ${lettered.map(([letter, option]) => `${letter.toLowerCase()} . ${option}`).join(' ')}`,
    problem: [problem, ...lettered.map(([letter, option]) => `${letter}. ${option}`)].join('\n'),
    choices: Object.fromEntries(lettered),
    solution: LETTERS[options.indexOf(solution)],
  };
}

/** Other things that such a question might have for an answer. */
function alternatives(type: QuestionType, solution: string, rng: Rng): string[] {
  const named = () => {
    const object = rng.pick(OBJECTS);
    return withArticle(`${rng.pick(COLORS)} ${object}`);
  };
  const number = NUMBER_WORDS.find((word) => solution.startsWith(`${word} `));
  switch (type) {
    case 'what_colour':
      return [...COLORS];
    case 'how_many':
      return NUMBER_WORDS.slice(1, 6);
    case 'where':
      return Object.values(BACKGROUND_PHRASES);
    case 'side':
      return [...PLACEMENTS];
    case 'hair':
      return [...HAIR_COLORS];
    case 'who':
      return SUBJECTS.map(withArticle);
    default: {
      // "three red cars": other numbers and colors of the same things; "a red car": other names.
      if (number === undefined) return [...new Set(Array.from({ length: 12 }, named))];
      const [, , things] = solution.split(' ');
      return NUMBER_WORDS.slice(2, 5).flatMap((n) => COLORS.map((color) => `${n} ${color} ${things}`));
    }
  }
}
