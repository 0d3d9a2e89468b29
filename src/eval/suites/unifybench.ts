/** UniCTokens-R1's and Sync-R1's Table 1: what a model knows of twenty concepts that it learned, and how it draws them. */
import { unifyBenchmark } from '../../data/unify-benchmark';
import { scorersOf, type Suite } from './suite';

export const unifybenchSuite: Suite = {
  name: 'unifybench',
  about:
    'UnifyBench++ (and UnifyBench): recognition, answers, facts; images of concepts by CLIP, dense prompts by a judge',
  data: "the set's root, with concept/train/NAME, concept/test/NAME and test_data/NAME.json",
  protocol: {
    samples: 4,
    subjects: 'learned',
    text: { temperature: 0, maxNewTokens: 128 },
    image: { guidanceScale: 6 },
  },
  paper: {
    paper: 'sync-r1',
    table: '1',
    columns: {
      'unifybench/rec': 'Rec. Weight',
      'unifybench/rea/bleu': 'Rea. BLEU',
      'unifybench/vqa/bleu': 'VQA BLEU',
      'unifybench/qa/bleu': 'QA BLEU',
      'unifybench/pure/clip_t': 'Pure Gen. CLIP-T',
      'unifybench/pure/clip_i': 'Pure Gen. CLIP-I',
      'unifybench/dense_gen/clip_i': 'Dense Gen. CLIP-I',
      'unifybench/rea_gen/clip_t': 'Rea. Gen. CLIP-T',
      'unifybench/rea_gen/clip_i': 'Rea. Gen. CLIP-I',
      'unifybench/dense_rea_gen/clip_i': 'Dense Rea. Gen. CLIP-I',
    },
  },
  parts: ({ data, style, judges }) => ({
    benchmarks: [unifyBenchmark(data, { scorers: scorersOf(judges), judge: judges.judge, style })],
  }),
};
