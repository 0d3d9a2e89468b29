/** CoRL's Table 1: GenEval, WISE and DPG-Bench, four images a prompt (WISE: one). */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Benchmark } from '../../data/benchmark';
import { dpgBenchmark } from '../../data/dpg-bench';
import { genEvalBenchmark } from '../../data/geneval';
import { wiseBenchmark } from '../../data/wise';
import { needed, type Suite, SuiteError, type SuiteJudges } from './suite';

const PARTS: Readonly<Record<string, (folder: string, judges: SuiteJudges) => Benchmark>> = {
  geneval: (folder, { detector, colors }) =>
    genEvalBenchmark(folder, {
      detector: needed(detector, 'GenEval takes an object detector (detr/ in the folder of scorers)'),
      colors: needed(colors, 'GenEval takes a model that tells colors (clip/ in the folder of scorers)'),
    }),
  wise: (folder, { judge }) => wiseBenchmark(folder, needed(judge, 'WISE takes a vision-language judge (--judge)')),
  dpg_bench: (folder, { judge }) =>
    dpgBenchmark(folder, needed(judge, 'DPG-Bench takes a vision-language judge (--judge)')),
};

export const corlGenerationSuite: Suite = {
  name: 'corl-generation',
  about: 'GenEval by an object detector, WISE and DPG-Bench by a vision-language judge; four images a prompt',
  data: `folders ${Object.keys(PARTS).join('/, ')}/, each as it is published; what is missing is left out`,
  protocol: { samples: 4, image: { guidanceScale: 5 } },
  paper: {
    paper: 'corl',
    table: '1',
    columns: {
      'geneval/two_object': 'GenEval Two Obj.',
      'geneval/counting': 'GenEval Counting',
      'geneval/position': 'GenEval Position',
      'geneval/color_attr': 'GenEval Color Attri.',
      'geneval/overall': 'GenEval Overall',
      'wise/overall': 'WISE Overall',
      'dpg/score': 'DPG Overall',
    },
  },
  benchmarks(data, judges) {
    const there = Object.keys(PARTS).filter((part) => existsSync(path.join(data, part)));
    if (there.length === 0) throw new SuiteError(`${data} holds none of ${Object.keys(PARTS).join(', ')}`);
    return there.map((part) => PARTS[part](path.join(data, part), judges));
  },
};
