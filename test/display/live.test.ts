import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  display,
  type DisplayTransport,
  LiveDisplay,
  liveDisplays,
  livePlot,
  type MimeBundle,
  imageGrid,
  progress,
  setDisplayTransport,
  TerminalTransport,
  updateDisplay,
} from '../../src/display';
import { ThinnedSeries } from '../../src/display/thin';
import { eventually } from '../eventually';

interface Sent {
  readonly kind: 'show' | 'update';
  readonly id?: string;
  readonly at: number;
  bundle?: MimeBundle;
}

/** Keeps what is sent, in order, as a kernel's queue does. */
class Recorder implements DisplayTransport {
  readonly sent: Sent[] = [];
  async show(bundle: Promise<MimeBundle>, id?: string): Promise<void> {
    const entry: Sent = { kind: 'show', id, at: Date.now() };
    this.sent.push(entry);
    entry.bundle = await bundle;
  }
  async update(id: string, bundle: Promise<MimeBundle>): Promise<void> {
    const entry: Sent = { kind: 'update', id, at: Date.now() };
    this.sent.push(entry);
    entry.bundle = await bundle;
  }
  clear(): Promise<void> {
    return Promise.resolve();
  }
}

afterEach(() => setDisplayTransport(undefined));

test('a live display sends at most ten times a second and always its last value', async () => {
  const recorder = new Recorder();
  setDisplayTransport(recorder);
  const live = new LiveDisplay('0');
  let n = 0;
  while (recorder.sent.length < 4) {
    live.update(String(++n));
    await sleep(1);
  }
  const { sent } = recorder;
  const span = sent[3].at - sent[0].at;
  // Timers may be a millisecond early.
  assert.ok(span >= 297, `4 were sent within ${span} ms`);
  live.update('last');
  await live.done();
  assert.equal(sent[0].kind, 'show');
  assert.ok(sent.slice(1).every((one) => one.kind === 'update' && one.id === live.id));
  assert.equal(sent.at(-1)?.bundle?.['text/plain'], 'last');
});

test('the last value arrives without done, too', async () => {
  const recorder = new Recorder();
  setDisplayTransport(recorder);
  const live = new LiveDisplay('first');
  for (let i = 0; i < 100; i++) live.update(`value ${i}`);
  await eventually(() => assert.equal(recorder.sent.at(-1)?.bundle?.['text/plain'], 'value 99'));
  assert.ok(recorder.sent.length < 100, `${recorder.sent.length} sent`);
});

test('updateDisplay sends every call; an update that fails to render is reported', async () => {
  const recorder = new Recorder();
  setDisplayTransport(recorder);
  await display('a', { id: 'x' });
  for (let i = 0; i < 50; i++) void updateDisplay('x', i);
  assert.equal(recorder.sent.length, 51);
  const live = new LiveDisplay('fine');
  live.update({
    [Symbol.for('Jupyter.display')]: () => {
      throw new Error('no image today');
    },
  });
  await assert.rejects(live.done(), /no image today/);
});

test('a live plot and a bar end in their final state', async () => {
  const recorder = new Recorder();
  setDisplayTransport(recorder);
  const plot = livePlot({ title: 'run' });
  const bar = progress(20, 'steps');
  for (let step = 1; step <= 20; step++) {
    plot.push({ step, 'reward/mean': step / 20 });
    bar.tick({ reward: step / 20 });
  }
  await Promise.all([plot.done(), bar.done()]);
  const last = recorder.sent.filter((one) => one.bundle?.['image/svg+xml']).at(-1)?.bundle;
  const spec = last?.['application/vnd.vegalite.v5+json'] as { data: { values: unknown[] } };
  assert.equal(spec.data.values.length, 20);
  assert.match(
    String(
      recorder.sent.filter((one) => String(one.bundle?.['text/plain']).startsWith('steps')).at(-1)?.bundle?.[
        'text/plain'
      ],
    ),
    /20\/20 .*done after/,
  );
});

test('a series of 1, 2, ... 8 in four columns keeps the lowest and the highest of each; a spike is never lost', () => {
  const few = new ThinnedSeries(4, 2);
  for (let i = 1; i <= 8; i++) few.add(i, i);
  assert.deepEqual(
    few.points.map(({ value }) => value),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  assert.deepEqual(few.shape, [1.5, 3.5, 5.5, 7.5]);
  assert.deepEqual(few.points[2], { step: 3, value: 3, average: 2.5 });
  const long = new ThinnedSeries(100, 5);
  for (let i = 0; i < 100_000; i++) long.add(i, i === 77_777 ? 50 : Math.sin(i));
  assert.ok(long.points.length <= 202);
  assert.ok(long.points.some(({ step, value }) => step === 77_777 && value === 50));
  assert.deepEqual([long.first, long.points.at(-1)?.step], [0, 99_999]);
});

test('a live plot of 100,000 steps sends no more than its width shows, and ends with every point and a picture', async () => {
  const recorder = new Recorder();
  setDisplayTransport(recorder);
  const plot = livePlot({ metrics: ['loss'], width: 200, height: 100 });
  for (let step = 1; step <= 100_000; step++) plot.push({ step, loss: 1 / step });
  await eventually(() => assert.ok(recorder.sent.length > 0));
  plot.push({ step: 100_001, loss: 7 });
  // After a picture the next draft waits longer: drawing gets a tenth of the time.
  const draft = await eventually(() => {
    const { bundle } = recorder.sent.at(-1) ?? {};
    assert.match(String(bundle?.['text/plain']), /100001 steps/);
    return bundle ?? {};
  });
  assert.deepEqual(Object.keys(draft).sort(), ['application/vnd.vegalite.v5+json', 'image/png', 'text/plain']);
  assert.ok(JSON.stringify({ ...draft, 'image/png': '' }).length < 30_000);
  assert.match(String(draft['text/plain']), /100001 steps\nloss .* 1\.0000 -> 7\.0000/);
  await plot.done();
  const last = recorder.sent.at(-1)?.bundle ?? {};
  const spec = last['application/vnd.vegalite.v5+json'] as { data: { values: unknown[] } };
  assert.equal(spec.data.values.length, 100_001);
  assert.ok(String(last['image/svg+xml']).length < 200_000);
  assert.ok('image/png' in last);
});

test('drafts have a PNG, drawn anew when the steps have doubled: a page would draw each that has none', async () => {
  const recorder = new Recorder();
  setDisplayTransport(recorder);
  const plot = livePlot({ width: 200, height: 100, maxPerSecond: 10 });
  const pushed = async (step: number): Promise<void> => {
    plot.push({ step, reward: step });
    await eventually(() =>
      assert.match(String(recorder.sent.at(-1)?.bundle?.['text/plain']), new RegExp(`\\b${step} steps?\\b`)),
    );
  };
  for (const step of [1, 2, 3]) await pushed(step);
  const pictures = recorder.sent.map(({ bundle }) => bundle?.['image/png']);
  assert.ok(pictures.length >= 4 && pictures.every((png) => typeof png === 'string' && png.length > 100));
  assert.equal(pictures.at(-1), pictures.at(-2));
  assert.equal(new Set(pictures).size, 2, 'before there were steps, and with two');
  await plot.done();
});

test('a plot that nobody ends has its pictures when the cell ends', async () => {
  const recorder = new Recorder();
  setDisplayTransport(recorder);
  livePlot().push({ step: 1, 'reward/mean': 1 });
  await eventually(() => assert.match(String(recorder.sent.at(-1)?.bundle?.['text/plain']), /reward\/mean/));
  assert.ok(!('image/svg+xml' in (recorder.sent.at(-1)?.bundle ?? {})));
  await Promise.all([...liveDisplays()].map((one) => one.flush()));
  assert.ok('image/svg+xml' in (recorder.sent.at(-1)?.bundle ?? {}));
});

test('in a terminal images become files, live lines are overwritten, order is kept', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'unilab-display-'));
  const before = process.env.UNILAB_DISPLAY_DIR;
  process.env.UNILAB_DISPLAY_DIR = folder;
  try {
    let text = '';
    const out = { isTTY: true, columns: 80, write: (part: string) => ((text += part), true) };
    setDisplayTransport(new TerminalTransport(out));
    void display(imageGrid({ width: 8, height: 8, rgb: new Uint8Array(192) }));
    const bar = progress(2, 'work');
    bar.tick();
    bar.tick();
    await bar.done();
    await display('end');
    assert.equal(readdirSync(folder).filter((name) => name.endsWith('.png')).length, 1);
    assert.match(text, /^1 image \(8 x 8\)\n {2}-> .*\.png\n\r\u001b\[2Kwork/);
    assert.match(text, /2\/2 .*\nend\n$/);
  } finally {
    if (before === undefined) delete process.env.UNILAB_DISPLAY_DIR;
    else process.env.UNILAB_DISPLAY_DIR = before;
    rmSync(folder, { recursive: true });
  }
});
