/** README.md of a scorer's checkpoint. */
import path from 'node:path';
import { writeFileAtomic } from '../../io/write-file';
import { SCORER_STAGES } from '../lessons/recipes';
import { metricTable, IMAGE_LICENSES, spent } from './cards';
import { readCurve, saveCurve } from './curve';
import type { EvalReport } from './metrics';

const TEXTS = {
  detector: {
    title: 'scene-reader: the independent detector of the mini world',
    what: `A small conv net that reads a 64 x 64 image: at each cell of an 8 x 8 grid what stands there (12 objects, 19 kinds of
creatures, or nothing), its colour, which of the 20 concepts it is, and the ground. **Evaluation alone uses it; no reward
does.** mini_clip, which rewards use, shares neither its weights nor its training batches.`,
    data: `Data: scenes of both splits (a reader of truth has to know every combination), the 20 concepts in all their views, and
scenes that follow no layout. Half of the images went through the image tokenizer with up to 3% of the code bits
flipped; all are moved by up to 3 pixels, blurred and noisy to random degrees.`,
    limits: `Limits: it knows the mini world's closed vocabulary and nothing else; whatever is in an image, it names the nearest known
thing. Concepts' views were all seen in training, so \`identity\` is no measure of generalisation. On generated images it is
as good as \`tokenizer/...\` says at best.`,
    parts: ['category', 'color', 'identity', 'background'],
  },
  clip: {
    title: 'mini_clip: a CLIP of the mini world',
    what: `A conv net and a two-block text encoder with one space of 128 dimensions, trained with symmetric InfoNCE on groups of four
images that differ in one thing (ground, colour, object, number, or who it is). It is the text-image judge of rewards
on the mini world (the place that BLIP-2 and CLIP have in the papers) and always goes by its own name.`,
    data: `Data: scenes of split \`train\` and the concepts' eight training views; no held-out combination, neither as image nor
as word. A quarter of the captions about creatures say \`<sks>\` for them; some leave out ground or companion. Half of the
images went through the image tokenizer with up to 3% of the code bits flipped.`,
    limits: `Limits: captions of the mini world's templates and words only. Positions ("left of") weigh little. Measured on fresh scenes
of split \`train\`.`,
    parts: ['loss'],
  },
  face: {
    title: "mini_face: a recogniser of the mini world's people",
    what: `A small conv net that tells a drawn person's looks (hair style, hair colour, skin, glasses, beard) from a crop of
40 x 40 pixels. Two crops are as alike as their looks are, by the mean of Bhattacharyya's coefficients. It stands in for
FER's MTCNN and FaceNet, which know photographs, and always goes by its own name.`,
    data: `Data: generic people of the pool, alone or beside an object, on every ground; none has the looks of a concept, so the
people that it is asked about are strangers to it, as FaceNet's are. The last 60 of the pool were kept for measuring.
Half of the images went through the image tokenizer with up to 3% of the code bits flipped.`,
    limits: `Limits: it sees the place where a figure stands in the mini world's layouts, and names looks even where nobody stands.
\`looks\`: all five right; \`concept\`: the held-out views of the ten people, nearest to their own training references.`,
    parts: ['hair_style', 'hair_colour', 'skin', 'glasses', 'beard'],
  },
  figure: {
    title: "mini_figure: a recogniser of the mini world's figures",
    what: `A small conv net that tells which of 19 creatures a figure is, in which of seven coats, and a person's looks, from a crop
of 40 x 40 pixels. Two crops are as alike as those looks are, by the mean of Bhattacharyya's coefficients: who and coat for
animals and things, who and the looks of mini_face for people. It has the part of DINO's features in DER, which know
photographs, and always goes by its own name.`,
    data: `Data: generic people of the pool, and animals and things in four styles and in every coat but those of the concepts, alone
or beside an object, on every ground: the concepts are strangers to it. The last 60 of the people were kept for measuring.
Half of the images went through the image tokenizer with up to 3% of the code bits flipped.`,
    limits: `Limits: it sees the place where a figure stands in the mini world's layouts, and names looks even where nobody stands.
\`looks\`: all of them right; \`concept\`: the held-out views of the ten people, and of the ten animals and things, nearest to
their own training references.`,
    parts: ['who', 'coat'],
  },
} as const;

/** Writes README.md, curve.json, curve.svg and eval.json. */
export async function writeScorerCard(
  folder: string,
  scorer: keyof typeof TEXTS,
  report: EvalReport,
  curveFile: string,
): Promise<void> {
  const text = TEXTS[scorer];
  const { seed } = SCORER_STAGES[scorer];
  const curve = await readCurve(curveFile);
  await saveCurve(folder, 'curve', curve, text.title.split(':')[0], text.parts);
  await writeFileAtomic(path.join(folder, 'eval.json'), `${JSON.stringify(report, null, 2)}\n`);
  const card = `# ${text.title}

${text.what}

- Made by \`bin/unilab train ${scorer}\`: seed ${seed}, ${curve.steps} steps, ${spent(curve.seconds)} of optimiser steps on two CPU cores that were shared with other work.
  Hyper-parameters: \`src/miniworld/lessons/recipes.ts\`. Weights: bf16 safetensors.
- Measured by \`bin/unilab eval ${scorer} --n ${report.n} --seed ${report.seed}\` on images drawn from another seed:

${metricTable(report)}

\`real/\`: as rendered; \`tokenizer/\`: as the image tokenizer of showo-mini gives them back.

${text.data}

${text.limits}

![training curve](curve.svg)

${IMAGE_LICENSES}
`;
  await writeFileAtomic(path.join(folder, 'README.md'), card);
}
