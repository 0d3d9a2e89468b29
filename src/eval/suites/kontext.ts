/** MM-R1's Table 1, right half: the character references of Kontext-Bench. */
import { kontextBenchmark } from '../../data/kontext-bench';
import { scorersOf, type Suite } from './suite';

export const kontextSuite: Suite = {
  name: 'kontext',
  about: 'Kontext-Bench, character reference: DINO, CLIP-I and CLIP-T of four images an instruction',
  data: 'the folder with metadata.jsonl and the images that it names',
  protocol: { samples: 4, subjects: 'shown', structure: 'free' },
  paper: {
    paper: 'mm-r1',
    table: '1',
    columns: {
      'kontext/dinov2_large': 'Kontext-Bench DINO',
      'kontext/clip_i': 'Kontext-Bench CLIP-I',
      'kontext/clip_t': 'Kontext-Bench CLIP-T',
    },
  },
  parts: ({ data, judges }) => ({ benchmarks: [kontextBenchmark(data, scorersOf(judges))] }),
};
