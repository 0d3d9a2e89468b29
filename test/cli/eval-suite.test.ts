import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { command } from '../../src/cli/eval-suite';
import { Rng, startEngine, tf } from '../../src/engine';
import type { suites } from '../../src/eval';
import { encodePng } from '../../src/io';
import { findConcept, loadSprites, writeCharacterReferences, writeConcepts } from '../../src/miniworld';
import { tinyJanus } from '../miniworld/tiny-janus';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'unilab-eval-suite-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const at = (...names: string[]) => path.join(scratch, ...names);
const model = at('model');

before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  const janus = tinyJanus();
  await janus.savePretrained(model, { dtype: 'F32' });
  janus.dispose();
});

/** What the command prints on standard output, and its exit status. */
async function evaluate(...args: string[]): Promise<{ status: number; out: string }> {
  const lines: string[] = [];
  const [log, error] = [console.log, console.error];
  console.log = (line: string) => lines.push(line);
  console.error = () => undefined;
  try {
    return { status: await command.run(args), out: lines.join('\n') };
  } finally {
    [console.log, console.error] = [log, error];
  }
}

const reportOf = ({ out }: { out: string }) => JSON.parse(out) as suites.SuiteReport;

/** GenEval with two prompts in words of the mini world, one in others, and one whose color the mini detector cannot tell. */
function genEval(): string {
  const folder = at('data', 'geneval');
  mkdirSync(folder, { recursive: true });
  const line = (tag: string, prompt: string, ...include: object[]) => JSON.stringify({ tag, include, prompt });
  const lines = [
    line('single_object', 'a photo of a cup', { class: 'cup', count: 1 }),
    line('colors', 'a photo of a red car', { class: 'car', count: 1, color: 'red' }),
    line('single_object', 'a photograph of a cup', { class: 'cup', count: 1 }),
    line('colors', 'a photo of a white dog', { class: 'dog', count: 1, color: 'white' }),
  ];
  writeFileSync(path.join(folder, 'evaluation_metadata.jsonl'), `${lines.join('\n')}\n`);
  return at('data');
}

describe('unilab eval SUITE on a tiny Janus', () => {
  it('corl-generation: what cannot be asked or scored counts nowhere; parts without a judge are left out', async () => {
    const data = genEval();
    mkdirSync(at('data', 'dpg_bench'), { recursive: true });
    const out = at('geneval');
    const args = [
      'corl-generation',
      '--model',
      model,
      '--data',
      data,
      '--stand-ins',
      'mini-detector',
      '--samples',
      '2',
    ];
    const kept = tf.memory().numTensors;
    const ran = await evaluate(...args, '--out', out, '--json');
    assert.equal(tf.memory().numTensors, kept);
    assert.equal(ran.status, 0);
    const report = reportOf(ran);
    const [{ items, total, unasked, whyUnasked, judges }] = report.benchmarks;
    assert.deepEqual([items, total, unasked], [2, 4, 2]);
    assert.deepEqual(whyUnasked.map(({ reason }) => reason).sort(), [
      "mini_detector cannot tell 'white' on 'dog'",
      "the model has no word 'photograph'",
    ]);
    assert.deepEqual(judges, ['mini_detector']);
    assert.deepEqual(
      report.cells.map(({ column, items: of }) => [column, of]),
      [
        ['single_object', 1],
        ['colors', 1],
      ],
    );
    assert.match(report.leftOut.find(({ name }) => name === 'dpg_bench')?.reason ?? '', /vision-language judge/);
    const table = readFileSync(path.join(out, 'table.md'), 'utf8');
    assert.match(table, /geneval is scored by mini_detector, in the paper by mask2former/);
    assert.match(
      table,
      /\(a part of the items; .*another scale\) \| - \| - \|/,
      'a stand-in stands in no column of the paper',
    );
    assert.match(readFileSync(path.join(out, 'table.tex'), 'utf8'), /geneval\/single\\_object & \d/);
    await assert.rejects(evaluate(...args, '--only', 'dpg_bench'), /dpg_bench is left out, it takes/);
    await assert.rejects(evaluate(...args, '--only', 'coco'), /there is no 'coco' here, but geneval/);
    await assert.rejects(
      evaluate(...args, '--out', out),
      /holds a run already: resume it \(--resume;.*or give another folder/,
    );
    const report2 = reportOf(await evaluate(...args, '--out', out, '--json', '--resume'));
    assert.deepEqual(report2.cells, report.cells);
    assert.deepEqual(report2.benchmarks, report.benchmarks);
  });

  it('mini-geneval: goes on where it was cut off, drawing and scoring nothing twice; two are compared', async () => {
    const args = ['mini-geneval', '--model', model, '--limit', '6', '--batch', '2', '--json'];
    const whole = reportOf(await evaluate(...args, '--out', at('whole')));
    assert.deepEqual(whole.cells.at(-1)?.column, 'overall');
    // As a process leaves it that dies after its first batch: a line is cut in the middle, too.
    cpSync(at('whole'), at('cut'), { recursive: true });
    for (const [name, lines] of [
      ['outputs.jsonl', 1],
      ['items.jsonl', 1],
    ] as const) {
      const all = readFileSync(at('whole', name), 'utf8').split('\n');
      writeFileSync(at('cut', name), `${all.slice(0, lines).join('\n')}\n${all[lines].slice(0, 20)}`);
    }
    const resumed = reportOf(await evaluate(...args, '--out', at('cut'), '--resume'));
    assert.deepEqual(resumed.cells, whole.cells);
    const ids = readFileSync(at('cut', 'items.jsonl'), 'utf8').trim().split('\n');
    assert.equal(new Set(ids.map((line) => (JSON.parse(line) as { id: string }).id)).size, 6);
    assert.equal(ids.length, 6);
    const compared = await evaluate('compare', at('whole'), at('cut'));
    assert.match(
      compared.out,
      /\| mini-geneval\/position \| 0\.000 \| 0\.000 \| 0\.000 \[0\.000, 0\.000\] \| 1 \| 1 \|/,
    );
    assert.match(compared.out, /\| mini-geneval\/overall \| \d/);
  });

  it('mini-unifybench: who did not learn the subjects is told of them; those that are asked for', async () => {
    const args = ['mini-unifybench', '--model', model, '--subjects', 'words', '--only-subjects', 'mira'];
    const report = reportOf(await evaluate(...args, '--limit', '14', '--out', at('unify'), '--json'));
    assert.equal(report.benchmarks[0].total, 14);
    assert.ok(report.cells.some(({ column }) => column === 'rea_gen'));
    const ids = readFileSync(at('unify', 'items.jsonl'), 'utf8').trim().split('\n');
    assert.ok(ids.every((line) => (JSON.parse(line) as { id: string }).id.startsWith('mira ')));
  });

  it('mini-dreambench and dreambench: subjects are shown, photographs of any size', async () => {
    const structure = ['--structure', 'direct', '--samples', '2', '--json'];
    const mini = await evaluate(
      'mini-dreambench',
      '--model',
      'chameleon',
      '--limit',
      '2',
      '--out',
      at('mini-dream'),
      ...structure,
    );
    const [{ items }] = reportOf(mini).benchmarks;
    assert.equal(items, 2);
    assert.ok(reportOf(mini).cells.some(({ column, value }) => column === 'drawn' && value === 1));
    const data = at('dream');
    mkdirSync(path.join(data, 'dog'), { recursive: true });
    const png = await encodePng({ width: 90, height: 50, rgb: new Uint8Array(90 * 50 * 3).fill(120) });
    writeFileSync(path.join(data, 'dog', '00.png'), png);
    const prompts = (kind: string) =>
      `${kind} Prompts\n\nprompt_list = [\n'a red {0} {1}'.format(unique_token, class_token),\n]\n`;
    const table = `Classes\n\nsubject_name,class\ndog,dog\n\n${prompts('Object')}\n${prompts('Live Subject')}`;
    writeFileSync(path.join(data, 'prompts_and_classes.txt'), table);
    const dream = [
      'dreambench',
      '--model',
      'chameleon',
      '--data',
      data,
      '--stand-ins',
      'mobilenet',
      '--out',
      at('dreambench'),
    ];
    const { cells, benchmarks } = reportOf(await evaluate(...dream, ...structure));
    assert.deepEqual([benchmarks[0].items, benchmarks[0].unasked], [1, 0]);
    assert.deepEqual(
      cells.map(({ column }) => column),
      ['mobilenet_v2', 'drawn'],
    );
    await assert.rejects(evaluate(...dream, '--resume', '--structure', 'free'), /other options: .*structure/);
  });

  it('corl-understanding: words that the model lacks are no wrong answers', async () => {
    const png = (await encodePng({ width: 8, height: 8, rgb: new Uint8Array(192).fill(90) })).toString('base64');
    const row = (index: number, question: string) => [index, png, question, 'Yes', 'adversarial'].join('\t');
    mkdirSync(at('tables'));
    const rows = [row(0, 'is there a cat ?'), row(1, 'is there a snowboard ?')];
    writeFileSync(at('tables', 'POPE.tsv'), ['index\timage\tquestion\tanswer\tcategory', ...rows, ''].join('\n'));
    const args = ['corl-understanding', '--model', model, '--data', at('tables'), '--json'];
    const asked = reportOf(await evaluate(...args, '--out', at('asked')));
    assert.deepEqual([asked.benchmarks[0].items, asked.benchmarks[0].unasked], [1, 1], 'in words of the mini world');
    assert.ok(asked.benchmarks[0].whyUnasked.some(({ reason }) => /no word 'snowboard'/.test(reason)));
    const { benchmarks, cells, leftOut } = reportOf(await evaluate(...args, '--style', 'plain', '--out', at('pope')));
    assert.deepEqual([benchmarks[0].name, benchmarks[0].items, benchmarks[0].unasked], ['pope', 0, 2]);
    assert.ok(benchmarks[0].whyUnasked.some(({ reason }) => /no word 'Question:'/i.test(reason)));
    assert.deepEqual(cells, []);
    assert.match(readFileSync(at('pope', 'table.md'), 'utf8'), /No item has a score/);
    assert.match(leftOut.find(({ name }) => name === 'mmmu')?.reason ?? '', /there is no table/);
  });

  it('unifybench: a set that the mini world wrote, a model of each subject; nothing is begun that cannot be done', async () => {
    await writeConcepts(at('concepts'), await loadSprites(), [findConcept('mira'), findConcept('bolt')]);
    const janus = tinyJanus();
    janus.addConceptTokens({ initializer: 'person', understanding: 2, generation: 2 }, new Rng(1));
    await janus.savePretrained(at('runs', 'mira', 'model'), { dtype: 'F32' });
    janus.dispose();
    const args = ['unifybench', '--model', at('runs', '{subject}', 'model'), '--data', at('concepts')];
    const rest = ['--stand-ins', 'mobilenet', '--samples', '1', '--out', at('unifybench')];
    await assert.rejects(evaluate(...args, ...rest), /no model .*runs\/bolt\/model; --only-subjects names those/);
    const run = ['unifybench', '--model', at('runs', '{subject}'), '--data', at('concepts'), '--only-subjects', 'mira'];
    await assert.rejects(evaluate(...run, ...rest), /runs\/mira is a run's folder: its model is .*runs\/mira\/model/);
    const mistyped = evaluate(...args, ...rest, '--only-subjects', 'mirra');
    await assert.rejects(mistyped, /unifybench has no item of mirra, but of bolt, mira/);
    const report = reportOf(await evaluate(...args, ...rest, '--only-subjects', 'mira', '--json'));
    const [{ items, total, errors, unasked }] = report.benchmarks;
    assert.deepEqual([items, total, errors, unasked], [86, 86, 0, 0]);
    assert.deepEqual(
      report.cells.map(({ column, items: of }) => [column, of]),
      [
        ...[
          ['rec', 16],
          ['rea/bleu', 2],
          ['vqa/bleu', 48],
          ['qa/bleu', 7],
        ],
        ...[
          ['pure/mobilenet_v2', 1],
          ['dense_gen/mobilenet_v2', 6],
          ['rea_gen/mobilenet_v2', 2],
          ['dense_rea_gen/mobilenet_v2', 2],
        ],
      ],
    );
    const table = readFileSync(at('unifybench', 'table.md'), 'utf8');
    assert.match(table, /model \(a part of the items; a model of the mini world's words: another scale\) \| \d/);
    assert.match(table, /of these subjects alone: mira/);
    const kept = JSON.parse(readFileSync(at('unifybench', 'report.json'), 'utf8')) as {
      settings: { command: string; seed: number };
      version: string;
    };
    assert.match(kept.settings.command, /^bin\/unilab eval unifybench --model '.*\{subject\}\/model' .*mira$/);
    assert.equal(kept.settings.seed, 1);
    assert.match(kept.version, /^\d+\.\d+\.\d+/);
  });

  it('kontext: subjects that the mini world wrote, four images an instruction', async () => {
    await writeCharacterReferences(at('kontext'), await loadSprites(), 2, new Rng(1));
    const args = ['kontext', '--model', 'chameleon', '--data', at('kontext'), '--stand-ins', 'mobilenet'];
    const report = reportOf(await evaluate(...args, '--structure', 'direct', '--json', '--out', at('kontext-out')));
    assert.deepEqual([report.benchmarks[0].items, report.benchmarks[0].errors], [2, 0]);
    assert.equal(readdirSync(at('kontext-out', 'images')).length, 8);
    assert.deepEqual(
      report.cells.map(({ column }) => column),
      ['mobilenet_v2', 'drawn'],
    );
  });

  it('nearest: what it finds goes into a file, with the command and the version that found it', async () => {
    const data = at('near');
    for (const [name, gray] of [
      ['dog', 40],
      ['cat', 220],
    ] as const) {
      mkdirSync(path.join(data, name), { recursive: true });
      for (const i of [0, 1]) {
        const rgb = Uint8Array.from({ length: 60 * 60 * 3 }, (_, at) => gray + ((at * (1 + i)) % 7));
        writeFileSync(path.join(data, name, `0${i}.png`), await encodePng({ width: 60, height: 60, rgb }));
      }
    }
    const prompts = (kind: string) =>
      `${kind} Prompts\n\nprompt_list = [\n'a {0} {1}'.format(unique_token, class_token),\n]\n`;
    const table = `Classes\n\nsubject_name,class\ndog,dog\ncat,cat\n\n${prompts('Object')}\n${prompts('Live Subject')}`;
    writeFileSync(path.join(data, 'prompts_and_classes.txt'), table);
    const { out } = await evaluate('nearest', '--data', data, '--out', at('nearest.json'), '--json');
    const found = JSON.parse(out) as Record<string, unknown>;
    assert.deepEqual(JSON.parse(readFileSync(at('nearest.json'), 'utf8')), found);
    assert.deepEqual([found.share, found.images, found.subjects], [1, 4, 2]);
    assert.equal(found.command, `bin/unilab eval nearest --data ${data} --out ${at('nearest.json')}`);
    assert.match(String(found.version), /^\d+\.\d+\.\d+/);
  });

  it('says what is missing', async () => {
    await assert.rejects(evaluate('dreambench'), /--model is needed/);
    await assert.rejects(evaluate('dreambench', '--model', model), /--data is needed: the folder dataset/);
    await assert.rejects(evaluate('mini-open', '--model', model, '--data', scratch), /makes its items/);
    const none = ['corl-generation', '--model', model, '--data', genEval(), '--out', at('none')];
    await assert.rejects(evaluate(...none), /nothing to evaluate:\n {2}geneval: it takes an object detector/);
    await assert.rejects(evaluate('mini-open', '--model', at('absent'), '--out', at('none')), /there is no model/);
    assert.ok(!existsSync(at('none', 'report.json')));
  });
});
