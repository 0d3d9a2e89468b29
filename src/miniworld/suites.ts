/** Suites of the mini world: they make their items, with exact truth, and are judged by rules and the scene detector. */
import type { Protocol } from '../data/protocol';
import { Rng } from '../engine';
import type { suites } from '../eval';
import { MINI_BENCHMARKS, type MiniBenchmark } from './benchmarks';
import { ANSWER_TOKENS, asBenchmark, PROMPTS_PER_TAG, THOUGHT_TOKENS } from './benchmarks/benchmark';
import { miniDreamBench } from './benchmarks/dreambench';
import { loadThinking } from './corl';
import { SceneDetector } from './detector';
import { loadSprites } from './sprites';
import { MiniXcotTask } from './xcot-task';

/** Prompts of a column that are asked of each learned subject. */
const PROMPTS_PER_SUBJECT = 24;

interface Setting {
  readonly count: number;
  readonly protocol: Protocol;
  /** Whether a model that lacks the words of thinking and choosing gets them, untrained. */
  readonly thinks: boolean;
}

const greedy = (maxNewTokens: number) => ({ text: { temperature: 0, maxNewTokens } });

const usual: Setting = { count: PROMPTS_PER_TAG, protocol: greedy(THOUGHT_TOKENS), thinks: true };
const ofSubjects: Setting = {
  count: PROMPTS_PER_SUBJECT,
  protocol: { ...greedy(ANSWER_TOKENS), subjects: 'learned' },
  thinks: false,
};

function suiteOf(benchmark: MiniBenchmark, { count, protocol, thinks }: Setting): suites.Suite {
  const { name, about } = benchmark;
  return {
    ...{ name, about, protocol },
    async parts({ seed, keep }) {
      const [sprites, detector] = [await loadSprites(), keep(await SceneDetector.load())];
      const items = benchmark.items(count, new Rng(seed).split(`prompts of ${name}`), sprites);
      return { benchmarks: [asBenchmark(benchmark, items, detector)] };
    },
    ...(thinks ? { load: loadThinking } : {}),
  };
}

const dreamBench: suites.Suite = {
  name: 'mini-dreambench',
  about: 'subjects that no training showed, four prompts each, averaged by subject; images by the scene detector',
  protocol: { samples: 4, subjects: 'shown', structure: 'free' },
  async parts({ seed, keep }) {
    const task = keep(await MiniXcotTask.open());
    return { benchmarks: [miniDreamBench(task, new Rng(seed).split('prompts of mini-dreambench'))] };
  },
};

/** By the name that `unilab eval` takes. */
export const MINI_SUITES: Readonly<Record<string, suites.Suite>> = {
  ...Object.fromEntries(
    Object.values(MINI_BENCHMARKS).map((one) => [
      one.name,
      suiteOf(one, one.name === 'mini-unifybench' ? ofSubjects : usual),
    ]),
  ),
  [dreamBench.name]: dreamBench,
};
