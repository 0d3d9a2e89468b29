/** MM-R1's Table 1, left half: 30 subjects with 25 prompts each, four images a prompt, averaged by subject. */
import { dreamBenchmark } from '../../data/dreambench';
import { scorersOf, type Suite } from './suite';

export const dreambenchSuite: Suite = {
  name: 'dreambench',
  about: 'DreamBench: DINO, CLIP-I and CLIP-T of four images a prompt, averaged by subject',
  data: 'the folder dataset of google/dreambooth: prompts_and_classes.txt beside a folder a subject',
  protocol: { samples: 4, subjects: 'shown', structure: 'free' },
  paper: {
    paper: 'mm-r1',
    table: '1',
    columns: {
      'dreambench/dinov2_large': 'DreamBench DINO',
      'dreambench/clip_i': 'DreamBench CLIP-I',
      'dreambench/clip_t': 'DreamBench CLIP-T',
    },
  },
  parts: ({ data, judges }) => ({ benchmarks: [dreamBenchmark(data, scorersOf(judges))] }),
};
