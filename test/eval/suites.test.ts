import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { askModel } from '../../src/data/ask-model';
import type { Benchmark, Outputs, ScoredItem } from '../../src/data/benchmark';
import { BenchmarkTask } from '../../src/data/benchmark-task';
import { meanColumn } from '../../src/data/columns';
import { Rng, startEngine, tf } from '../../src/engine';
import { suites } from '../../src/eval';
import { encodePng } from '../../src/io';
import { fakeModel } from './fake-model';
import { wordsSuite } from './words-suite';

const closing: (() => void)[] = [];
after(() => closing.forEach((close) => close()));
const scratch = mkdtempSync(path.join(os.tmpdir(), 'suites-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
before(() => startEngine({ quiet: true }));

/** A judge that says 7 to everything; from the `hold`th request on it says nothing. `answered` counts what it said. */
async function judge(hold = Infinity) {
  const answered = new Map<string, number>();
  const nothing = (): void => undefined;
  const state = { hold, count: 0, onHold: nothing };
  const server = createServer((request, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (++state.count >= state.hold) return state.onHold();
      const body = Buffer.concat(chunks).toString();
      answered.set(body, (answered.get(body) ?? 0) + 1);
      response.setHeader('content-type', 'application/json');
      const choices = [{ index: 0, message: { role: 'assistant', content: '7' }, finish_reason: 'stop' }];
      response.end(JSON.stringify({ id: '1', choices, usage: { prompt_tokens: 9, completion_tokens: 1 } }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { answered, state, baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` };
}

async function questions(count: number): Promise<string> {
  const png = await encodePng({ width: 2, height: 2, rgb: new Uint8Array(12).fill(90) });
  const table = path.join(scratch, 'MMVet.tsv');
  const rows = Array.from({ length: count }, (_, i) =>
    [i, `what is number ${i}`, `answer ${i}`, png.toString('base64')].join('\t'),
  );
  writeFileSync(table, ['index\tquestion\tanswer\timage', ...rows, ''].join('\n'));
  return table;
}

const keptAnswers = (out: string): number => {
  const folder = path.join(out, 'judge');
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  return names.filter((name) => name.endsWith('.json')).length;
};

describe('an evaluation', () => {
  it('that is killed goes on to the same table, and nothing is judged twice', async () => {
    const table = await questions(8);
    const { answered, state, baseUrl } = await judge(5);
    const out = path.join(scratch, 'killed');
    const program = path.join(__dirname, 'killed-evaluation.ts');
    const child: ChildProcess = spawn(
      process.execPath,
      ['--require', 'ts-node/register/transpile-only', program, out, table, baseUrl],
      { stdio: 'ignore' },
    );
    await new Promise<void>((resolve, reject) => {
      state.onHold = resolve;
      child.once('exit', () => reject(new Error('it ended by itself')));
    });
    child.removeAllListeners('exit');
    // What is on its way while the process dies cannot be known of; what has arrived is on the disk at once.
    while (keptAnswers(out) < 4) await sleep(5);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(answered.size, 4);
    state.hold = Infinity;
    const asked = { texts: 0, images: 0 };
    const [resumed] = await wordsSuite({ out, table, baseUrl, resume: true, asked });
    assert.equal(answered.size, 8);
    assert.deepEqual([...answered.values()], Array<number>(8).fill(1));
    assert.ok(asked.texts < 8, 'what was said before the end is not asked again');
    const [whole] = await wordsSuite({ out: path.join(scratch, 'whole'), table, baseUrl, resume: false });
    assert.deepEqual(resumed.items, whole.items);
    assert.deepEqual(
      suites.benchmarkCells(resumed.benchmark, resumed.items, new Rng(1)),
      suites.benchmarkCells(whole.benchmark, whole.items, new Rng(1)),
    );
    const [again] = await wordsSuite({ out, table, baseUrl, resume: true, asked: { texts: 0, images: 0 } });
    assert.deepEqual(again.items, whole.items);
    await assert.rejects(
      wordsSuite({ out, table, baseUrl, resume: false }),
      /holds a run already: resume it \(--resume; in code resume: true\)/,
    );
  });

  it('leaves out what the judge did not answer, and tries it again', async () => {
    const table = await questions(3);
    const out = path.join(scratch, 'silent');
    const silent = createServer((_, response) => {
      response.statusCode = 400;
      response.end('{}');
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const [first] = await wordsSuite({
      ...{ out, table, resume: false },
      baseUrl: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`,
    });
    silent.close();
    assert.equal(first.items.length, 0);
    assert.equal(first.unscored.length, 3);
    const { baseUrl, answered } = await judge();
    const [second] = await wordsSuite({ out, table, baseUrl, resume: true });
    assert.deepEqual([second.items.length, second.unscored.length, answered.size], [3, 0, 3]);
    const [{ value }] = suites.benchmarkCells(second.benchmark, second.items, new Rng(1));
    assert.ok(Math.abs(value - 70) < 1e-9, String(value));
  });
});

/** Prompts whose images are scored by their first byte. */
const grays = (prompts: readonly string[]): Benchmark => ({
  name: 'grays',
  judges: ['rule'],
  columns: [meanColumn('gray'), meanColumn('drawn')],
  async *items() {
    for (const prompt of await Promise.resolve(prompts)) yield { item: { id: prompt, ask: { kind: 'image', prompt } } };
  },
  score: (_, { images }: Outputs) =>
    Promise.resolve({ scores: { gray: images[0]?.rgb[0] ?? 0, drawn: images.length }, detail: null }),
});

describe('how a model is asked', () => {
  it('no item depends on its neighbors; a prompt without room is said, not thrown', async () => {
    const models = {
      bySubject: false,
      check: () => undefined,
      modelOf: () => Promise.resolve(fakeModel()),
      dispose: () => undefined,
    };
    const run = async (name: string, prompts: string[], batchSize: number) => {
      const options = { identity: { name }, protocol: { samples: 2 }, rng: new Rng(3), batchSize };
      return (await suites.runBenchmarks(path.join(scratch, name), [grays(prompts)], models, options))[0];
    };
    const kept = tf.memory().numTensors;
    const one = await run('one', ['a', 'b', 'c', 'much too long'], 4);
    const other = await run('other', ['c', 'a'], 1);
    assert.equal(tf.memory().numTensors, kept);
    const scoreOf = (items: readonly ScoredItem[], id: string) => items.find((item) => item.id === id)?.scores;
    assert.deepEqual(scoreOf(one.items, 'a'), scoreOf(other.items, 'a'));
    assert.deepEqual(scoreOf(one.items, 'c'), scoreOf(other.items, 'c'));
    assert.deepEqual(one.unasked, [{ id: 'much too long', reason: "no room for 'much too long'" }]);
    assert.equal(scoreOf(one.items, 'much too long'), undefined);
    assert.deepEqual([one.items.length, one.total], [3, 4]);
  });

  it('an item in unknown words counts nowhere, neither first nor when it goes on, and is said in the table', async () => {
    const models = {
      bySubject: false,
      check: () => undefined,
      modelOf: () => Promise.resolve(fakeModel()),
      dispose: () => undefined,
    };
    const run = async (resume: boolean) => {
      const options = { identity: {}, protocol: {}, rng: new Rng(3), batchSize: 2, resume };
      const prompts = ['a', 'a zyzzyva', 'b', 'two zyzzyva'];
      const results = await suites.runBenchmarks(path.join(scratch, 'words'), [grays(prompts)], models, options);
      return { results, report: suites.reportOf({ name: 'gray' }, results, { model: 'fake' }, new Rng(1)) };
    };
    const first = await run(false);
    const drawn = first.report.cells.find(({ column }) => column === 'drawn');
    assert.deepEqual([drawn?.value, drawn?.items], [1, 2]);
    const [{ unasked, total, items, whyUnasked }] = first.report.benchmarks;
    assert.deepEqual([items, total, unasked], [2, 4, 2]);
    assert.deepEqual(whyUnasked, [{ reason: "the model has no word 'zyzzyva'", items: 2 }]);
    const suite = { name: 'gray', about: '', protocol: {}, parts: () => ({ benchmarks: [] }) };
    const text = suites.reportMarkdown(suite, first.report);
    assert.match(text, /- grays: \*\*2 of 4 items\*\*, scored by rule/);
    assert.match(text, /2 were not asked and count in no number: the model has no word 'zyzzyva' \(2\)/);
    assert.deepEqual((await run(true)).report, first.report);
  });

  it('an item that nobody can score is not asked', async () => {
    const asked = { texts: 0, images: 0 };
    const models = {
      bySubject: false,
      check: () => undefined,
      modelOf: () => Promise.resolve(fakeModel(asked)),
      dispose: () => undefined,
    };
    const choosy = {
      ...grays(['a', 'b']),
      unscorable: ({ id }: { id: string }) => (id === 'b' ? 'no judge' : undefined),
    };
    const options = { identity: {}, protocol: {}, rng: new Rng(3) };
    const [result] = await suites.runBenchmarks(path.join(scratch, 'choosy'), [choosy], models, options);
    assert.deepEqual(result.unasked, [{ id: 'b', reason: 'no judge' }]);
    assert.equal(asked.images, 1);
  });

  it('what is said first completes the prompt; an answer that leaves no room is left out', async () => {
    const of = async (question: string) => {
      const reason = { question, complete: (prompt: string, answer: string) => `${prompt}, ${answer}` };
      const item = { id: 'x', ask: { kind: 'image', prompt: 'a cup', reason } } as const;
      const [outputs] = await askModel(fakeModel(), [item], { samples: 2 }, new Rng(1));
      return { texts: outputs.texts, images: outputs.images.length, unasked: outputs.unasked };
    };
    assert.deepEqual(await of('what?'), { texts: ['heard what?'], images: 2, unasked: undefined });
    assert.deepEqual(await of('a too-long one'), { texts: ['heard a too-long one'], images: 2, unasked: undefined });
    assert.equal((await of('too long')).unasked, "no room for 'too long'");
  });

  it('a benchmark is a task: examples from random numbers alone, its columns as metrics', async () => {
    const task = new BenchmarkTask(grays(['a', 'b', 'c']), { samples: 1 });
    assert.deepEqual(await task.sample(new Rng(5)), await task.sample(new Rng(5)));
    const { metrics, items } = await task.evaluate(fakeModel(), new Rng(1), { count: 2 });
    assert.equal(items.length, 2);
    assert.equal(metrics.drawn, 1);
  });
});
