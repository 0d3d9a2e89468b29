/** CoRL's Table 1: GenEval, WISE and DPG-Bench, four images a prompt (WISE: one); T2I-CompBench beside them. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Benchmark } from '../../data/benchmark';
import { dpgBenchmark } from '../../data/dpg-bench';
import { genEvalBenchmark } from '../../data/geneval';
import type { ChatJudge } from '../../data/judges';
import { t2iCompBenchmark } from '../../data/t2i-compbench';
import { wiseBenchmark } from '../../data/wise';
import type { LeftOutPart, Suite, SuiteJudges } from './suite';

type Part = (folder: string, judges: SuiteJudges) => Benchmark | string;

/** Its folder -> the benchmark, or what it would take. */
const PARTS: Readonly<Record<string, Part>> = {
  geneval: (folder, { detector, colors }) => {
    if (!detector) return 'it takes an object detector (detr/ in --scorers, or --stand-ins mini-detector)';
    if (!colors) return 'it takes somebody who tells colors (clip/ in --scorers, or --stand-ins mean-color)';
    return genEvalBenchmark(folder, { detector, colors });
  },
  wise: judged(wiseBenchmark),
  dpg_bench: judged((folder, judge) => dpgBenchmark(folder, judge)),
  t2i_compbench: judged((folder, judge) => t2iCompBenchmark(folder, judge)),
};

function judged(make: (folder: string, judge: ChatJudge) => Benchmark): Part {
  return (folder, { judge }) => (judge ? make(folder, judge) : 'it takes a vision-language judge (--judge)');
}

export const corlGenerationSuite: Suite = {
  name: 'corl-generation',
  about:
    'GenEval by an object detector; WISE, DPG-Bench and T2I-CompBench by a vision-language judge; four images a prompt',
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
    judges: { geneval: 'mask2former', wise: 'gpt-4o', dpg: 'mplug-large' },
  },
  parts({ data, judges }) {
    const benchmarks: Benchmark[] = [];
    const leftOut: LeftOutPart[] = [];
    for (const [name, part] of Object.entries(PARTS)) {
      const folder = path.join(data, name);
      const made = existsSync(folder) ? part(folder, judges) : 'there is no folder of it';
      if (typeof made === 'string') leftOut.push({ name, reason: made });
      else benchmarks.push(made);
    }
    return { benchmarks, leftOut };
  },
};
