/**
 * What language and vision-language judges are told, in our own words, and how their answers are read. The papers'
 * judges are GPT-4o with prompts of their own: numbers of another judge or another rubric are not theirs.
 */
import type { Image } from '../io';
import type { ChatRequest } from './chat-endpoint';
import { readWiseMarks, type WiseMarks } from './rules/wise';

const SHORT = 8;

const yesNo = (text: string): 'yes' | 'no' => {
  const said = /^[\s*"'`]*(yes|no)\b/i.exec(text)?.[1].toLowerCase();
  if (said !== 'yes' && said !== 'no') throw new Error('neither yes nor no was said');
  return said;
};

/** A question about an image that is answered by yes or no (DPG-Bench, dense prompts). */
export const yesNoRubric = {
  request: (image: Image, question: string): ChatRequest => ({
    system:
      'You look at an image and answer one question about it. Judge only by what can be seen. Say "yes" if the image clearly answers the question with yes, otherwise "no". Say nothing but yes or no.',
    parts: [image, question],
    maxTokens: SHORT,
  }),
  read: yesNo,
};

/** Whether a clause of a dense prompt can be seen (UnifyBench++, Dense Gen.). */
export const clauseRubric = {
  request: (image: Image, clause: string, references: readonly Image[]): ChatRequest => ({
    system:
      'You check whether an image shows what a phrase says. The phrase may speak of a subject by a name in angle brackets; if there is more than one image, the first ones show that subject and the last one is to be checked. Say "yes" if the last image shows all that the phrase says, otherwise "no". Say nothing but yes or no.',
    parts: [...references.slice(0, 1), image, `The phrase: ${clause}`],
    maxTokens: SHORT,
  }),
  read: (text: string): number => (yesNo(text) === 'yes' ? 1 : 0),
};

/** The three marks of WISE, 0 to 2 each. */
export const wiseRubric = {
  request: (image: Image, prompt: string, explanation: string): ChatRequest => ({
    system:
      'You grade an image that was drawn for a prompt which takes knowledge of the world. You are told what the prompt means. Give three marks, each 0, 1 or 2. Consistency: does the image show what the prompt means (0 not, 1 partly, 2 exactly)? Realism: are shapes, materials and light as in the real world (0 not, 1 with mistakes, 2 fully)? Aesthetic Quality: how pleasing is it to look at (0 poor, 1 fair, 2 good)? Answer in three lines, a name, a colon and a digit each:\nConsistency: 0\nRealism: 0\nAesthetic Quality: 0',
    parts: [image, `The prompt: ${prompt}\nWhat it means: ${explanation}`],
    maxTokens: 64,
  }),
  read: (text: string): WiseMarks => {
    const { marks } = readWiseMarks(text);
    const { consistency, realism, aestheticQuality } = marks;
    if (![consistency, realism, aestheticQuality].every((mark) => mark !== undefined && mark <= 2))
      throw new Error('three marks from 0 to 2 were expected');
    return marks as WiseMarks;
  },
};

/** How right an answer in words is, 0 to 1 in tenths (UnifyBench's GPT columns, MM-Vet). */
export const answerRubric = {
  request: (question: string, expected: string, answer: string): ChatRequest => ({
    system:
      'You grade an answer against the expected one. Only what it says counts, not how. Give a number from 0 to 10: 0 if it is wrong or says something else, 10 if it says all that is expected and nothing that contradicts it, something between if it says part of it. Say nothing but the number.',
    parts: [
      `The question: ${question}\nThe expected answer: ${expected}\nThe answer to be graded: ${answer || '(nothing)'}`,
    ],
    maxTokens: SHORT,
  }),
  read: (text: string): number => {
    const mark = /^[\s*]*(10|\d)(?:\.0+)?(?!\d|\.\d)/.exec(text)?.[1];
    if (mark === undefined) throw new Error('a number from 0 to 10 was expected');
    return Number(mark) / 10;
  },
};

/** Whether a worked answer ends in the expected result (MathVista, MathVerse, MathVision, LogicVista). */
export const equivalenceRubric = {
  request: (question: string, expected: string, answer: string): ChatRequest => ({
    system:
      'You are given a question, its right answer, and what somebody answered, perhaps with a long solution. Say "yes" if the final answer is the right one, also when it is written otherwise (1/2 and 0.5, a letter and the choice that it stands for). Otherwise, or if there is no final answer, say "no". Say nothing but yes or no.',
    parts: [`The question: ${question}\nThe right answer: ${expected}\nWhat was answered: ${answer || '(nothing)'}`],
    maxTokens: SHORT,
  }),
  read: (text: string): boolean => yesNo(text) === 'yes',
};

/** How well an image fits its prompt, 0 to 1 in hundredths (T2I-CompBench). */
export const alignmentRubric = {
  request: (image: Image, prompt: string): ChatRequest => ({
    system:
      'You say how well an image fits a prompt: which things, how many, of which color, shape and texture, where to each other. Give a whole number from 0 (nothing fits) to 100 (everything fits). Say nothing but the number.',
    parts: [image, `The prompt: ${prompt}`],
    maxTokens: SHORT,
  }),
  read: (text: string): number => {
    const mark = Number(/^[\s*]*(\d{1,3})(?:\.0+)?(?!\d|\.\d)/.exec(text)?.[1] ?? NaN);
    if (!(mark <= 100)) throw new Error('a number from 0 to 100 was expected');
    return mark / 100;
  },
};
