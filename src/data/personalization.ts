/**
 * Personalization as UniCTokens-R1 asks for it (Sec. 3.2): a subject `<sks>` with reference images and facts, and two
 * ways to ask about it. Visual instruct (VIA) asks about an image; text attribute (TIA) tells facts and asks which one
 * fits a prompt. Either way the answer (IR) completes the prompt of an image.
 */
import type { Rng } from '../engine';
import type { Image } from '../io';
import type { Example, Task } from './task';

export const PATHWAYS = ['via', 'tia'] as const;
export type Pathway = (typeof PATHWAYS)[number];
export type SubjectKind = 'person' | 'animal' | 'object';

/** What rewards may know of an example. */
export interface SubjectTruth {
  /** All answers that the right one is told apart from, the right one included (E_j of Eq. 3). */
  readonly candidates: readonly string[];
  /** Place of the right one in `candidates`. */
  readonly correct: number;
}

/** One request: everything that a group shares. */
export interface SubjectExample<Truth extends SubjectTruth = SubjectTruth> extends Example<Truth> {
  readonly pathway: Pathway;
  /** What the model is asked, with `<sks>`; an image first for VIA. */
  readonly question: readonly (string | Image)[];
  /** The facts that were told; TIA only. */
  readonly facts: readonly string[];
  /** CP = prompt + "<sks> is (IR)". */
  compoundPrompt(answer: string): string;
  /** A prompt for those who do not know `<sks>`: "a dog in the snow. the dog is ...". */
  inClassWords(text: string): string;
}

/** A reference image with what is said of it. */
export interface SubjectReference {
  readonly image: Image;
  readonly caption: string;
  readonly questions: readonly { readonly question: string; readonly answer: string }[];
}

/** How sentences are put together: `plain` as people write, `spaced` with a space before every sign (the mini world). */
export const TEXT_STYLES = ['plain', 'spaced'] as const;
export type TextStyle = (typeof TEXT_STYLES)[number];

export interface Subject {
  readonly name: string;
  readonly kind: SubjectKind;
  /** The word for what it is: `dog`, `person`. */
  readonly className: string;
  readonly references: readonly SubjectReference[];
  /** Facts that training may ask for. */
  readonly facts: readonly string[];
  readonly style: TextStyle;
}

/** A task about one subject. */
export interface PersonalizationTask<Truth extends SubjectTruth = SubjectTruth> extends Task<SubjectExample<Truth>> {
  readonly subject: Subject;
  /** The metric of `evaluate` that a run is judged by. */
  readonly headline: string;
  /** @param pathway default: one of both at random */
  sample(rng: Rng, pathway?: Pathway): SubjectExample<Truth> | Promise<SubjectExample<Truth>>;
}

const signs = { plain: { stop: '.', colon: ':' }, spaced: { stop: ' .', colon: ' :' } } as const;

/** "facts: ... . ... . question: a photo of <sks> in the rain answer:" */
export function attributeQuestion(facts: readonly string[], prompt: string, style: TextStyle): string {
  const { stop, colon } = signs[style];
  const told = facts.map((fact) => `${fact}${stop}`).join(' ');
  return `facts${colon} ${told} question${colon} ${prompt} answer${colon}`;
}

/** The prompt of an image, completed by an answer. The answer stands in it as it was given, whatever it holds. */
export function compoundPrompt(prompt: string, answer: string, style: TextStyle): string {
  return `${prompt}${signs[style].stop} <sks> is ${answer}`;
}

/** `<sks>` as the words for its class: first with an article, then "the dog". */
export function inClassWords(className: string, text: string): string {
  let first = true;
  return text.replace(/<sks>/g, () => {
    const words = first ? `${/^[aeiou]/i.test(className) ? 'an' : 'a'} ${className}` : `the ${className}`;
    first = false;
    return words;
  });
}

interface AttributeParts<Truth extends SubjectTruth> {
  readonly id: string;
  readonly prompt: string;
  /** Told facts, in the order in which they are told. */
  readonly facts: readonly string[];
  readonly truth: Truth;
}

/** A TIA example: the facts, a prompt, and the fact that fits it. */
export function attributeExample<Truth extends SubjectTruth>(
  { className, references, style }: Subject,
  { id, prompt, facts, truth }: AttributeParts<Truth>,
): SubjectExample<Truth> {
  return {
    id,
    pathway: 'tia',
    prompt,
    question: [attributeQuestion(facts, prompt, style)],
    facts,
    references: references.map(({ image }) => image),
    truth,
    compoundPrompt: (answer) => compoundPrompt(prompt, answer, style),
    inClassWords: (text) => inClassWords(className, text),
  };
}

const PHOTO = 'a photo of <sks>';

/**
 * A VIA example: a question about a reference image. The wrong answers are what the same question is answered for
 * other subjects, at most three that differ.
 */
export function visualExample<Truth extends SubjectTruth>(
  { className, references, style }: Subject,
  reference: SubjectReference,
  asked: { readonly question: string; readonly answer: string },
  wrong: readonly string[],
  rng: Rng,
  truthOf: (truth: SubjectTruth) => Truth,
): SubjectExample<Truth> {
  const others = [...new Set(wrong)].filter((answer) => answer !== asked.answer);
  const candidates = rng.shuffle([asked.answer, ...rng.shuffle(others).slice(0, 3)]);
  return {
    id: `via ${asked.question}`,
    pathway: 'via',
    prompt: PHOTO,
    question: [reference.image, asked.question],
    facts: [],
    references: references.map(({ image }) => image),
    truth: truthOf({ candidates, correct: candidates.indexOf(asked.answer) }),
    compoundPrompt: (answer) => compoundPrompt(PHOTO, answer, style),
    inClassWords: (text) => inClassWords(className, text),
  };
}
