/** Scoring rules of published benchmarks: each reading of an answer and each mean, on invented records. */
import * as bench from '../../../src/eval';
import { type Check, close, same } from './check';

type Numbers = Record<string, number>;
interface PopeCase {
  records: { answer: string; label: bench.YesNo; predicted: string; vlmevalkit: string }[];
  expected: Numbers;
  expected_vlmevalkit: Numbers;
}
interface Description {
  geneval: {
    name: string;
    records: bench.GenEvalRecord[];
    expected: { tags: Record<string, bench.GenEvalTask>; [mean: string]: unknown };
  }[];
  dpg: {
    name: string;
    items: (bench.DpgItem & {
      expected: { question_scores: number[][]; picture_scores: number[]; score: number };
    })[];
    expected: { dpg_score: number; level1: Numbers; level2: Numbers };
  }[];
  wise: {
    records: { prompt_id: number; consistency: number; realism: number; aesthetic_quality: number; score: number }[];
    expected: { categories: Numbers; counts: Numbers; overall: number };
    verified: {
      records: { prompt_id: number; score: number }[];
      expected: { categories: Numbers; overall: number };
    };
    texts: { text: string; scores: Numbers; complete: boolean }[];
  };
  unify_recognition: { records: (bench.UnifyRecord & { hit: number })[]; expected: Numbers };
  unify_choice: { records: (bench.UnifyRecord & { hit: number })[]; expected: { accuracy: number } };
  dense: {
    records: { prompt: string; segments: string[]; judged: number[]; score: number | null }[];
    expected: { score: number; scored: number };
  };
  pope: PopeCase;
  pope_no_yes: PopeCase;
  multiple_choice: {
    records: (bench.MultipleChoiceRecord & {
      option: string | null;
      inferred: string | null;
      final: string;
      hit: number;
    })[];
    expected: { accuracy: number; undecided: number };
  };
}

const tolerance = 1e-12;
const percent = 1e-10;

export async function* parity(
  _folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const d = description as unknown as Description;
  for (const one of d.geneval) yield* geneval(one);
  for (const one of d.dpg) yield* dpg(one);
  yield* wise(d.wise);
  yield* unify(d);
  yield* dense(d.dense);
  yield* pope('pope', d.pope);
  yield* pope('pope without a yes', d.pope_no_yes);
  yield* multipleChoice(d.multiple_choice);
}

/** Numbers by name, whatever their order. */
function* table(
  name: string,
  quantity: string,
  got: ReadonlyMap<string, number>,
  expected: Numbers,
  within: number,
): Generator<Check> {
  const keys = Object.keys(expected);
  yield same(name, `${quantity} names`, [...got.keys()].sort(), [...keys].sort());
  yield close(
    name,
    quantity,
    keys.map((key) => got.get(key) ?? NaN),
    keys.map((key) => expected[key]),
    within,
  );
}

function* geneval({ name, records, expected }: Description['geneval'][number]): Generator<Check> {
  const label = `geneval ${name}`;
  const got = bench.genEval(records);
  yield close(
    label,
    'means',
    [got.overall, got.images, got.prompts],
    [expected.overall, expected.images, expected.prompts] as number[],
    tolerance,
  );
  yield same(label, 'totals', [got.imagesTotal, got.promptsTotal], [
    expected.images_total,
    expected.prompts_total,
  ] as number[]);
  for (const quantity of ['score', 'correct', 'total'] as const) {
    const numbers = new Map([...got.tasks].map(([tag, task]) => [tag, task[quantity]]));
    const tags = Object.entries(expected.tags).map(([tag, task]) => [tag, task[quantity]] as const);
    yield* table(label, quantity, numbers, Object.fromEntries(tags), tolerance);
  }
}

function* dpg({ name, items, expected }: Description['dpg'][number]): Generator<Check> {
  const label = `dpg ${name}`;
  const got = bench.dpgBench(items);
  for (const [i, item] of items.entries()) {
    yield same(label, `item ${i} questions`, got.items[i].questions.flat(), item.expected.question_scores.flat());
    const score = got.items[i];
    yield close(
      label,
      `item ${i} pictures`,
      [...score.pictures, score.score],
      [...item.expected.picture_scores, item.expected.score],
      tolerance,
    );
  }
  yield close(label, 'score', [got.score], [expected.dpg_score], percent);
  yield* table(label, 'level 1', got.level1, expected.level1, percent);
  yield* table(label, 'level 2', got.level2, expected.level2, percent);
}

function* wise({ records, expected, verified, texts }: Description['wise']): Generator<Check> {
  const scores = records.map((r) => bench.wiScore({ ...r, aestheticQuality: r.aesthetic_quality }));
  yield close(
    'wise',
    'picture scores',
    scores,
    records.map((r) => r.score),
    tolerance,
  );
  const graded = bench.wise(records.map((r, i) => ({ promptId: r.prompt_id, score: scores[i] })));
  yield* table('wise', 'categories', graded.categories, expected.categories, tolerance);
  yield* table('wise', 'counts', graded.counts, expected.counts, 0);
  yield close('wise', 'overall', [graded.overall ?? NaN], [expected.overall], tolerance);
  const later = bench.wise(
    verified.records.map((r) => ({ promptId: r.prompt_id, score: r.score })),
    'verified',
  );
  yield* table('wise verified', 'categories', later.categories, verified.expected.categories, tolerance);
  yield close('wise verified', 'overall', [later.overall ?? NaN], [verified.expected.overall], tolerance);
  for (const [i, { text, scores: read, complete }] of texts.entries()) {
    const got = bench.readWiseMarks(text);
    yield same(
      `wise text ${i}`,
      'marks',
      [got.marks.consistency, got.marks.realism, got.marks.aestheticQuality, got.complete],
      [read.consistency, read.realism, read.aesthetic_quality, complete],
    );
  }
}

function* unify({ unify_recognition: asked, unify_choice: chosen }: Description): Generator<Check> {
  yield same(
    'unify recognition',
    'hits',
    asked.records.map((r) => Number(bench.unifyRecognitionHit(r))),
    asked.records.map((r) => r.hit),
  );
  const got = bench.unifyRecognition(asked.records);
  const means = { recall: got.recall, no_recall: got.noRecall, accuracy: got.accuracy, weight: got.weight };
  yield* table('unify recognition', 'means', new Map(Object.entries(means)), asked.expected, tolerance);
  yield same(
    'unify choice',
    'hits',
    chosen.records.map((r) => Number(bench.unifyChoiceHit(r))),
    chosen.records.map((r) => r.hit),
  );
  yield close('unify choice', 'accuracy', [bench.unifyChoice(chosen.records)], [chosen.expected.accuracy], tolerance);
}

function* dense({ records, expected }: Description['dense']): Generator<Check> {
  for (const [i, { prompt, segments }] of records.entries())
    yield same(`dense ${i}`, 'clauses', bench.denseClauses(prompt), segments);
  const scores = records.map((r) => bench.denseScore(r.judged));
  const number = (score: number | null): number => score ?? -1;
  yield close('dense', 'scores', scores.map(number), records.map((r) => r.score).map(number), tolerance);
  yield close('dense', 'mean', [bench.denseMean(scores)], [expected.score], tolerance);
  yield same('dense', 'scored', [scores.filter((score) => score !== null).length], [expected.scored]);
}

function* pope(name: string, { records, expected, expected_vlmevalkit: kit }: PopeCase): Generator<Check> {
  const own = records.map((r) => bench.readPope(r.answer));
  const other = records.map((r) => bench.readYesNo(r.answer));
  yield same(
    name,
    'readings',
    own,
    records.map((r) => r.predicted),
  );
  yield same(
    name,
    'readings of VLMEvalKit',
    other,
    records.map((r) => r.vlmevalkit.toLowerCase()),
  );
  const labels = records.map((r) => r.label);
  const named = (readings: readonly bench.YesNoReading[]): Numbers => {
    const { yesRatio, ...rest } = bench.yesNoScores(readings, labels);
    return { ...rest, yes_ratio: yesRatio };
  };
  yield* table(name, 'scores', new Map(Object.entries(named(own))), expected, tolerance);
  const scores = named(other);
  const withPercent = new Map(Object.entries({ ...scores, f1_percent: 100 * scores.f1 }));
  yield* table(name, 'scores of VLMEvalKit', withPercent, kit, percent);
}

function* multipleChoice({ records, expected }: Description['multiple_choice']): Generator<Check> {
  for (const [i, record] of records.entries()) {
    const { prediction, choices } = record;
    const inferred = bench.inferChoice(prediction, choices);
    yield same(
      `multiple choice ${i}`,
      'letter, inferred, final, hit',
      [
        bench.choiceByLetter(prediction, choices),
        inferred,
        inferred ?? bench.noChoice,
        Number(bench.multipleChoiceHit(record)),
      ],
      [record.option, record.inferred, record.final, record.hit],
    );
  }
  const undecided = records.filter((r) => bench.inferChoice(r.prediction, r.choices) === null).length;
  yield same('multiple choice', 'undecided', [undecided], [expected.undecided]);
  yield close('multiple choice', 'accuracy', [bench.multipleChoiceAccuracy(records)], [expected.accuracy], tolerance);
}
