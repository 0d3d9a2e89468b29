/** CoRL's rewards of text answers: what the answer is, whether it is right, and whether the format is kept. */
import { type AccuracyOptions, answerAccuracy, answerFormat, answerReward, formatReward } from '../../../src/rewards';
import { answerIn, blockRatio } from '../../../src/text';
import { type Check, close, same } from './check';

interface Answered {
  completion: string;
  solution: string;
  problem?: string;
  extracted: string;
  soft: number;
}

interface Description {
  multiple_choice: (Answered & { mc: number })[];
  open_ended: (Answered & { exact: number })[];
  format: { completion: string; format: number; format_tags: number; format_once: number }[];
  similarity: { a: string; b: string; ratio: number }[];
}

const tolerance = 1e-12;

export async function* parity(
  _folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const { multiple_choice: choices, open_ended: open, format, similarity } = description as unknown as Description;
  const ratios = similarity.map(({ a, b }) => blockRatio(a, b));
  yield close(
    `${similarity.length} pairs`,
    'similarity',
    ratios,
    similarity.map((p) => p.ratio),
    tolerance,
  );
  for (const [i, one] of choices.entries()) {
    const name = `multiple_choice ${i}`;
    yield* answered(name, one);
    yield same(name, 'mc', [accuracy(one, 'multiple_choice')], [one.mc]);
  }
  for (const [i, one] of open.entries()) {
    const name = `open_ended ${i}`;
    yield* answered(name, one);
    yield same(name, 'exact', [accuracy(one, 'open_ended')], [one.exact]);
  }
  for (const [i, { completion, ...expected }] of format.entries()) {
    const got = (['whole', 'tags', 'once'] as const).map((form) => answerFormat(completion, { form }));
    yield same(`format ${i}`, 'whole, tags, once', got, [expected.format, expected.format_tags, expected.format_once]);
  }
  yield* asRewards(choices, format);
}

function* answered(name: string, one: Answered): Generator<Check, void, undefined> {
  yield same(name, 'extracted', [answerIn(one.completion)], [one.extracted]);
  yield close(name, 'soft', [accuracy(one, 'soft')], [one.soft], tolerance);
}

function accuracy({ completion, solution, problem = '' }: Answered, form: AccuracyOptions['form']): number {
  return answerAccuracy(completion, { solution, problem }, { form }).value;
}

/** The same numbers by the rewards that a run calls, the whole batch at once. */
async function* asRewards(
  choices: Description['multiple_choice'],
  format: Description['format'],
): AsyncGenerator<Check, void, undefined> {
  const unseen = { outputs: [], references: [] };
  const asked = choices.map(({ completion, solution, problem = '' }) => ({
    ...unseen,
    completion,
    prompt: problem,
    truth: { solution },
  }));
  const accuracies = await answerReward({ form: 'multiple_choice' })(asked);
  yield same(
    'reward',
    'accuracy_multiple_choice',
    accuracies.map((s) => s.value),
    choices.map((c) => c.mc),
  );
  const formats = await formatReward()(
    format.map(({ completion }) => ({ ...unseen, completion, prompt: '', truth: {} })),
  );
  yield same(
    'reward',
    'format',
    formats.map((s) => s.value),
    format.map((c) => c.format),
  );
}
