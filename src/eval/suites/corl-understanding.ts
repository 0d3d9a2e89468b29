/** CoRL's Table 2: nine sets of questions, answered greedily. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Benchmark } from '../../data/benchmark';
import { mmmuBenchmark } from '../../data/mmmu';
import { UNDERSTANDING_RULES, type UnderstandingSet, vlmEvalKitBenchmark } from '../../data/vlmevalkit';
import type { LeftOutPart, Suite } from './suite';

const SETS = Object.keys(UNDERSTANDING_RULES) as UnderstandingSet[];

/** VLMEvalKit's names: `MMMU_DEV_VAL.tsv`, `MathVista_MINI.tsv`, ... */
function tableOf(data: string, set: UnderstandingSet): string | undefined {
  const file = readdirSync(data).find((name) => name.toLowerCase().startsWith(set) && name.endsWith('.tsv'));
  return file === undefined ? undefined : path.join(data, file);
}

function parquetOf(data: string): string[] {
  const folder = path.join(data, 'mmmu');
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  return files.filter((name) => name.endsWith('.parquet')).map((name) => path.join(folder, name));
}

export const corlUnderstandingSuite: Suite = {
  name: 'corl-understanding',
  about:
    'MMMU, MMStar, WeMath, MM-Vet, POPE, LogicVista, MathVista, MathVerse, MathVision; letters by rule, words by a judge',
  data: "VLMEvalKit's tables (MMStar.tsv, POPE.tsv, ...); MMMU also as Parquet files in mmmu/; what is missing is left out",
  protocol: { text: { temperature: 0, maxNewTokens: 512 }, fit: 'pad' },
  paper: {
    paper: 'corl',
    table: '2',
    columns: {
      'mmmu/accuracy': 'MMMU',
      'mmstar/accuracy': 'MMStar',
      'mmvet/accuracy': 'MMVet',
      'pope/f1': 'POPE',
      'logicvista/accuracy': 'LogicVista',
      'mathvista/accuracy': 'MathVista',
      'mathverse/accuracy': 'MathVerse',
      'mathvision/accuracy': 'MathVision',
    },
    judges: { mmvet: 'gpt-4' },
  },
  parts({ data, style, judges: { judge } }) {
    const parquet = parquetOf(data);
    const benchmarks: Benchmark[] = [];
    const leftOut: LeftOutPart[] = [];
    for (const name of SETS) {
      const file = tableOf(data, name);
      const rule = UNDERSTANDING_RULES[name];
      if (file === undefined && name === 'mmmu' && parquet.length > 0) benchmarks.push(mmmuBenchmark(parquet, style));
      else if (file === undefined) leftOut.push({ name, reason: 'there is no table of it' });
      else if (rule === 'graded' && !judge)
        leftOut.push({ name, reason: 'its answers are in words, which takes a judge (--judge)' });
      else benchmarks.push(vlmEvalKitBenchmark(name, file, { rule, judge, style }));
    }
    return { benchmarks, leftOut };
  },
};
