/** `unilab data`: the mini world as images and files. */
import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { writeFileAtomic } from '../io/write-file';
import { Rng } from '../engine/random';
import {
  CONCEPTS,
  contactSheet,
  findConcept,
  loadSprites,
  writeCharacterReferences,
  writeConcepts,
  writeQuestionTables,
  writeScenes,
} from '../miniworld';
import { type Command, UsageError } from './command';

const usage = `unilab data preview [--out FILE.png] [--seed N] | concepts --out DIR [--concept NAME ...] | scenes --count N --out DIR [--split train|heldout] [--seed N]
            | questions --out DIR [--count N] [--seed N] | subjects --out DIR [--count N] [--seed N]

preview    a contact sheet of forty images with captions, questions and answers (default out/preview.png, seed 1)
concepts   the twenty concepts in the folder layout of UnifyBench++
scenes     scene examples with CoRL's fields: DIR/data.jsonl and DIR/images/
questions  questions about held-out scenes as VLMEvalKit's tables, N of each category (default 96): what
           \`unilab eval corl-understanding --data DIR\` reads
subjects   held-out subjects with instructions in Kontext-Bench's layout (default and at most 128): for \`unilab eval kontext\``;

function wholeNumber(name: string, text: string | undefined, fallback?: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (value === undefined || text === '' || !Number.isInteger(value) || value < 0) {
    throw new UsageError(`--${name} needs a whole number, got ${text === undefined ? 'nothing' : `'${text}'`}`);
  }
  return value;
}

function needed(name: string, text: string | undefined): string {
  if (!text) throw new UsageError(`--${name} is needed`);
  return text;
}

/** A line on standard error that is written over, at most ten times a second. */
function progress(what: string): (done: number, total: number) => void {
  let last = 0;
  return (done, total) => {
    const now = Date.now();
    if (now - last < 100 && done < total) return;
    last = now;
    process.stderr.write(process.stderr.isTTY ? `\r${what} ${done}/${total}${done === total ? '\n' : ''}` : '');
    if (!process.stderr.isTTY && done === total) process.stderr.write(`${what} ${done}/${total}\n`);
  };
}

async function preview(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { out: { type: 'string' }, seed: { type: 'string' } } });
  const out = values.out ?? path.join('out', 'preview.png');
  const sheet = await contactSheet(wholeNumber('seed', values.seed, 1), await loadSprites());
  await mkdir(path.dirname(out), { recursive: true });
  await writeFileAtomic(out, sheet.png);
  if (!sheet.withText) {
    console.error(
      'unilab data: no font was found, so the sheet has images only and the texts follow; a font such as DejaVu mends it (apt-get install fonts-dejavu-core)',
    );
    for (const [i, lines] of sheet.captions.entries()) console.log(`${i + 1}. ${lines.join(' | ')}`);
  }
  console.log(out);
  return 0;
}

async function concepts(args: string[]): Promise<number> {
  const options = { out: { type: 'string' }, concept: { type: 'string', multiple: true } } as const;
  const { values } = parseArgs({ args, options });
  const out = needed('out', values.out);
  const chosen = values.concept?.map(findConcept) ?? CONCEPTS;
  await writeConcepts(out, await loadSprites(), chosen, progress('concepts'));
  console.log(out);
  return 0;
}

async function scenes(args: string[]): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args, options: { out: text, count: text, seed: text, split: text } });
  const out = needed('out', values.out);
  const split = values.split ?? 'train';
  if (split !== 'train' && split !== 'heldout') throw new UsageError(`--split is train or heldout, not '${split}'`);
  const count = wholeNumber('count', values.count);
  if (count < 1) throw new UsageError('--count should be at least 1');
  const options = { count, split, seed: wholeNumber('seed', values.seed, 1) } as const;
  console.log(await writeScenes(out, await loadSprites(), options, progress('scenes')));
  return 0;
}

async function questions(args: string[]): Promise<number> {
  const { out, count, seed } = madeSet(args, 96);
  const files = await writeQuestionTables(out, await loadSprites(), count, new Rng(seed).split('questions'));
  for (const file of files) console.log(file);
  return 0;
}

async function subjects(args: string[]): Promise<number> {
  const { out, count, seed } = madeSet(args, 128);
  console.log(await writeCharacterReferences(out, await loadSprites(), count, new Rng(seed).split('subjects')));
  return 0;
}

/** Options of a set that is made. */
function madeSet(
  args: string[],
  usual: number,
): { readonly out: string; readonly count: number; readonly seed: number } {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args, options: { out: text, count: text, seed: text } });
  const count = wholeNumber('count', values.count, usual);
  if (count < 1) throw new UsageError('--count should be at least 1');
  return { out: needed('out', values.out), count, seed: wholeNumber('seed', values.seed, 1) };
}

const actions: Readonly<Record<string, (args: string[]) => Promise<number>>> = {
  preview,
  concepts,
  scenes,
  questions,
  subjects,
};

export const command: Command = {
  summary: 'preview, concepts, scenes, questions, subjects: the mini world as images and files',
  usage,
  async run([name, ...args]) {
    const action = Object.hasOwn(actions, name ?? '') ? actions[name] : undefined;
    if (!action)
      throw new UsageError(
        `${name ? `there is no 'data ${name}'` : 'what to do is missing'}: ${Object.keys(actions).join(', ')}`,
      );
    return action(args);
  },
};
