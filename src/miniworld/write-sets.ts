/** Questions and subjects of the mini world as files, in the layouts of published sets: VLMEvalKit's tables, Kontext-Bench. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Rng } from '../engine/random';
import { encodePng, savePng } from '../io';
import { writeFileAtomic } from '../io/write-file';
import { CHARACTER_REFERENCE } from '../data/kontext-bench';
import { byTurns } from './benchmarks/benchmark';
import { MATH_TAGS, mathProblems } from './benchmarks/math';
import { CHOICE_TAGS, heldOutQuestions, POPE_TAGS, popeQuestions, type SceneQuestion } from './benchmarks/questions';
import { addRecoloredSubjects } from './recolored-subjects';
import { renderScene } from './render';
import type { SpriteSheet } from './sprites';
import { canChoose, choiceQuestion, LETTERS } from './thinking';
import { IMAGE_SIZE } from './world';
import { heldOutXcot } from './xcot-task';

type Row = Readonly<Record<string, string>>;

/**
 * Writes tables as VLMEvalKit has them, images inside as base64: `MMStar.tsv` (four options), `POPE.tsv` (yes or no),
 * `MathVista_MINI.tsv` (counting and adding). Every image holds a combination of thing and color that no training showed.
 * @param count questions of each category; they come by turns, so that the first few are of all
 * @returns the files
 */
export async function writeQuestionTables(
  folder: string,
  sprites: SpriteSheet,
  count: number,
  rng: Rng,
): Promise<string[]> {
  const choices = CHOICE_TAGS.map((tag) =>
    heldOutQuestions(tag, count, rng)
      .filter(({ question }) => canChoose(question))
      .map((one, i) => choiceRow(tag, one, rng.split(`options ${tag}`).split(i))),
  );
  const yesNo = POPE_TAGS.map((tag) => popeQuestions(tag, count, rng).map((one) => row(tag, one)));
  const numbers = MATH_TAGS.map((tag) => mathProblems(tag, count, rng).map((one) => row(tag, one)));
  const tables = { MMStar: byTurns(choices), POPE: byTurns(yesNo), MathVista_MINI: byTurns(numbers) };
  await mkdir(folder, { recursive: true });
  const files: string[] = [];
  for (const [name, rows] of Object.entries(tables)) {
    files.push(path.join(folder, `${name}.tsv`));
    await writeFileAtomic(files[files.length - 1], await tableOf(rows, sprites));
  }
  return files;
}

type AskedRow = Pick<SceneQuestion, 'scene'> & { readonly fields: Row };

const row = (category: string, { scene, question: { problem, solution } }: SceneQuestion): AskedRow => ({
  scene,
  fields: { question: problem, answer: solution, category },
});

function choiceRow(category: string, { scene, question }: SceneQuestion, rng: Rng): AskedRow {
  const { choices, solution } = choiceQuestion(question, rng);
  const options = Object.fromEntries(LETTERS.map((letter) => [letter, choices[letter] ?? '']));
  return { scene, fields: { question: question.problem, ...options, answer: solution, category } };
}

/** No text of the mini world holds a tab, a quotation mark or a line's end. */
async function tableOf(rows: readonly AskedRow[], sprites: SpriteSheet): Promise<string> {
  const columns = ['index', 'image', ...Object.keys(rows[0].fields)];
  const lines = [columns.join('\t')];
  for (const [i, { scene, fields }] of rows.entries()) {
    const rgb = renderScene(scene, sprites);
    const png = await encodePng({ width: IMAGE_SIZE, height: IMAGE_SIZE, rgb });
    const values: Row = { ...fields, index: String(i), image: png.toString('base64') };
    lines.push(columns.map((column) => values[column]).join('\t'));
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Writes subjects that no training showed as Kontext-Bench has its character references: an image of the subject and an
 * instruction, four instructions for each of 32 subjects; `metadata.jsonl` last.
 * @returns the path of `metadata.jsonl`
 */
export async function writeCharacterReferences(
  folder: string,
  sprites: SpriteSheet,
  count: number,
  rng: Rng,
): Promise<string> {
  await addRecoloredSubjects(sprites);
  const lines: string[] = [];
  for (const [key, { prompt, references }] of heldOutXcot(count, rng, sprites).entries()) {
    const file_name = `images/${String(key).padStart(4, '0')}.png`;
    await savePng(path.join(folder, file_name), references[0]);
    lines.push(JSON.stringify({ file_name, instruction: prompt, category: CHARACTER_REFERENCE, key }));
  }
  const file = path.join(folder, 'metadata.jsonl');
  await writeFileAtomic(file, `${lines.join('\n')}\n`);
  return file;
}
