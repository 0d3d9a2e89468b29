/** Every published set as a benchmark: what is asked of it, scored by judges that say yes, and its columns. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { askModel } from '../../src/data/ask-model';
import { type Benchmark, type BenchmarkItem, goodItems, type ScoredItem } from '../../src/data/benchmark';
import { cocoBenchmark } from '../../src/data/coco-captions';
import { dreamBenchmark } from '../../src/data/dreambench';
import { dreamBenchPlusBenchmark } from '../../src/data/dreambench-plus';
import type { ChatJudge, ImageScorer } from '../../src/data/judges';
import { kontextBenchmark } from '../../src/data/kontext-bench';
import { mcLlavaBenchmark } from '../../src/data/mc-llava';
import { t2iCompBenchmark } from '../../src/data/t2i-compbench';
import { answerText, questionText } from '../../src/data/question-item';
import { unifyBenchmark } from '../../src/data/unify-benchmark';
import { unisonBenchmark } from '../../src/data/unison';
import { wiseBenchmark } from '../../src/data/wise';
import { yoLlavaBenchmark } from '../../src/data/yollava';
import { Rng, startEngine } from '../../src/engine';
import { encodePng } from '../../src/io';
import { fakeModel } from '../eval/fake-model';
import { put, putJson, scratch, scratchFolders } from './broken-sets';
import { CONCEPT_SETS } from './concept-sets';
import { TEXT_SETS } from './text-sets';

before(() => startEngine({ quiet: true }));
after(() => scratchFolders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** Says what each rubric can read: three marks, a yes or a number. */
const agreeable: ChatJudge = {
  name: 'agreeable',
  ask: (requests, read) =>
    Promise.resolve(
      requests.map(({ system = '' }) => {
        const text = /Consistency/.test(system)
          ? 'Consistency: 2\nRealism: 2\nAesthetic Quality: 2'
          : /"yes"/.test(system)
            ? 'yes'
            : '10';
        return { value: read(text, true), text, cached: false };
      }),
    ),
};
const half: ImageScorer = { name: 'half', score: (images) => Promise.resolve(images.map(() => 0.5)) };
const scorers = [half];

/** The set's files, and the benchmark of them; columns that must come out, with the judges above. */
const CASES: readonly (readonly [
  set: string,
  of: (folder: string) => Benchmark,
  columns: Readonly<Record<string, number>>,
])[] = [
  ["Yo'LLaVA", yoLlavaBenchmark, { accuracy: NaN }],
  ['MC-LLaVA', mcLlavaBenchmark, { rec: 1 }],
  ['DreamBench++', (folder) => dreamBenchPlusBenchmark(folder, scorers), { half: 0.5, drawn: 1 }],
  ['Kontext-Bench', (folder) => kontextBenchmark(folder, scorers), { half: 0.5, drawn: 1 }],
  [
    'COCO captions',
    (folder) => cocoBenchmark(path.join(folder, 'captions.json'), path.join(folder, 'val')),
    { bleu: NaN },
  ],
  ['WISE', (folder) => wiseBenchmark(folder, agreeable), { culture: 1 }],
  ['Unison', unisonBenchmark, { consistency: NaN }],
];

async function scoredOf<I extends BenchmarkItem, D>(benchmark: Benchmark<I, D>): Promise<ScoredItem<D>[]> {
  const items: I[] = [];
  for await (const item of goodItems(benchmark)) items.push(item);
  assert.ok(items.length > 0, benchmark.name);
  const outputs = await askModel(fakeModel(), items, { samples: 2 }, new Rng(1));
  return Promise.all(
    items.map(async (item, i) => {
      assert.equal(outputs[i].unasked, undefined);
      const { scores, detail } = await benchmark.score(item, outputs[i]);
      return { id: item.id, cluster: item.cluster ?? item.id, scores, detail };
    }),
  );
}

describe('a published set as a benchmark', () => {
  for (const [name, of, columns] of CASES)
    it(name, async () => {
      const set = [...CONCEPT_SETS, ...TEXT_SETS].find((one) => one.name === name);
      assert.ok(set, name);
      const folder = scratch();
      set.write(folder);
      const benchmark = of(folder);
      const scored = await scoredOf(benchmark);
      assert.equal(new Set(scored.map(({ id }) => id)).size, scored.length);
      for (const [column, expected] of Object.entries(columns)) {
        const value = benchmark.columns.find((one) => one.name === column)?.value(scored);
        assert.ok(value !== undefined && Number.isFinite(value), column);
        if (!Number.isNaN(expected)) assert.ok(Math.abs(value - expected) < 1e-9, `${column}: ${value}`);
      }
    });

  it('T2I-CompBench: one category of it', async () => {
    const folder = scratch();
    put(folder, 'color_val.txt', 'a green bench and a blue bowl\na red cup');
    const benchmark = t2iCompBenchmark(folder, agreeable, ['color']);
    assert.equal(benchmark.columns[0].value(await scoredOf(benchmark)), 0.1);
  });

  it('DreamBench: averaged by subject', async () => {
    const folder = scratch();
    const table = [
      'Classes',
      'subject_name,class',
      'rex,dog',
      'mug,cup',
      'Object Prompts',
      "'a {0} {1} in snow'.format(",
      'Live Subject Prompts',
      "'a {0} {1} in a hat'.format(",
    ];
    put(folder, 'prompts_and_classes.txt', table.join('\n'));
    const png = await encodePng({ width: 4, height: 4, rgb: new Uint8Array(48) });
    for (const subject of ['rex', 'mug']) put(folder, `${subject}/00.png`, png);
    const benchmark = dreamBenchmark(folder, scorers);
    const scored = await scoredOf(benchmark);
    assert.deepEqual(
      scored.map(({ cluster }) => cluster),
      ['mug', 'rex'],
    );
    assert.equal(benchmark.columns[0].value(scored), 0.5);
  });

  it("UnifyBench++: recognition, facts and images, and the judge's columns", async () => {
    const folder = scratch();
    const png = await encodePng({ width: 4, height: 4, rgb: new Uint8Array(48) });
    const turns = (asked: string, answer: string) => [
      { from: 'human', value: `<image>\n${asked}` },
      { from: 'gpt', value: answer },
    ];
    put(folder, 'concept/train/bo/0.png', png);
    putJson(folder, 'concept/train/bo/train_images.json', ['0.png']);
    const info = { class: 'dog', info: 'a small dog', extra_info: ['<bo> digs', '<bo> sings'], num_testing_info: 1 };
    putJson(folder, 'concept/train/bo/info.json', {
      ...info,
      conversation_type: 'pet',
      generation_type: 'live_subject',
    });
    putJson(folder, 'test_data/bo.json', [
      { type: 'rec', image: 'concept/train/bo/0.png', conversations: turns('Is <bo> here? yes', 'Yes.') },
      { type: 'rec', image: 'concept/train/bo/0.png', conversations: turns('Is <bo> not here?', 'No.') },
      { type: 'vqa', image: 'concept/train/bo/0.png', conversations: turns('What is <bo>?', 'a dog') },
    ]);
    const twins = (prompts: readonly string[], explicit: readonly string[], key: string) => ({
      [key]: prompts,
      [`explicit_${key}`]: explicit,
    });
    putJson(folder, 'concept/test/bo/t2i_conditions.json', {
      ...twins(
        ['<bo> digging', '<bo> at a party'],
        ['<bo> digging', '<bo> sings at a party'],
        'personalized_driven_generation',
      ),
      ...twins(['<bo> on grass, sun'], ['<bo> on grass, sun'], 'dense_prompt_generation'),
      ...twins(['<bo> on stage, at night'], ['<bo> sings on stage, at night'], 'personalized_dense_prompt_generation'),
    });
    const benchmark = unifyBenchmark(folder, { scorers, judge: agreeable });
    const scored = await scoredOf(benchmark);
    assert.equal(scored.length, 3 + 1 + 2 + 1 + 2);
    const values = Object.fromEntries(benchmark.columns.map((column) => [column.name, column.value(scored)]));
    // It repeats the question: a yes stands in one, and the letters of no in the other.
    assert.equal(values.rec, 1);
    assert.equal(values['dense_gen/agreeable'], 1);
    assert.equal(values['dense_rea/agreeable'], 1);
    assert.equal(values['rea_gen/half'], 0.5);
    assert.ok(values['rea/bleu'] > 0 && values['rea/bleu'] < 1);
  });

  it('a question as people write it, and as the mini world does, which knows no sign that stands at another', () => {
    const item = { id: '0', images: [], question: 'what is it ?', hint: 'look .', choices: { A: 'a cat', B: 'a dog' } };
    const plain = ['Hint: look .', 'Question: what is it ?', 'Options:', 'A. a cat', 'B. a dog'];
    assert.equal(questionText(item), `${plain.join('\n')}\nPlease select the correct answer from the options above.`);
    assert.equal(questionText(item, 'spaced'), 'look . what is it ? a . a cat b . a dog');
    assert.deepEqual(
      ['b', ' b . ', 'a dog', 'B'].map((said) => answerText(said, 'spaced')),
      ['B', 'B', 'a dog', 'B'],
    );
    assert.equal(answerText('b'), 'b');
  });
});
