import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import sharp from 'sharp';
import {
  Display,
  jupyterDisplay,
  type MimeBundle,
  imageGrid,
  type ImageLike,
  progressView,
  renderBundle,
  rewardPlot,
  rewardSpec,
  sparkline,
  tableView,
  tensorView,
  traceView,
  vegaPlot,
} from '../../src/display';
import { plainText } from '../../src/display/html';

function image(width: number, height: number, byte: (i: number) => number): ImageLike {
  return { width, height, rgb: Uint8Array.from({ length: 3 * width * height }, (_, i) => byte(i)) };
}

/** A tensor as displays read it; the engine is not needed for its bytes. */
function tensor(values: number[], shape: number[], dtype = 'float32') {
  return { shape, dtype, size: values.length, dataSync: () => Float32Array.from(values) };
}

const bundleOf = (view: Display): Promise<MimeBundle> => view[jupyterDisplay]();

test('a small image is enlarged without blur, and its bytes survive', async () => {
  const source = image(10, 8, (i) => (i * 37) % 256);
  const bundle = await bundleOf(imageGrid(source, { size: 40 }));
  const inside = /src="data:image\/png;base64,([^"]+)"/.exec(bundle['text/html'] as string);
  assert.ok(inside);
  const { data, info } = await sharp(Buffer.from(inside[1], 'base64'))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height], [40, 32]);
  for (const [x, y] of [
    [0, 0],
    [39, 31],
    [17, 22],
  ])
    for (let c = 0; c < 3; c++)
      assert.equal(data[(y * 40 + x) * 3 + c], source.rgb[(Math.floor(y / 4) * 10 + Math.floor(x / 4)) * 3 + c]);
});

test('image tensors are read at once, clamped to [-1, 1] and shown one by one', async () => {
  let alive = true;
  const values = Array.from({ length: 2 * 8 * 8 * 3 }, (_, i) => (i < 192 ? -1 : 1));
  const source = { ...tensor(values, [2, 8, 8, 3]), dataSync: () => (assert.ok(alive), Float32Array.from(values)) };
  const view = imageGrid(source, { captions: ['black', 'white'], scores: [0.25, { clip: 0.5 }] });
  alive = false;
  const bundle = await bundleOf(view);
  assert.equal((bundle['text/html'] as string).match(/<img src=/g)?.length, 2);
  assert.match(
    bundle['text/plain'] as string,
    /2 images \(8 x 8\)\n {2}1\. black {2}\[0\.250\]\n {2}2\. white {2}\[clip 0\.500\]/,
  );
  const sheet = await sharp(Buffer.from(bundle['image/png'] as string, 'base64')).metadata();
  assert.ok(sheet.width && sheet.width > 320);
});

test('what cannot be shown says what was wrong', () => {
  assert.throws(() => imageGrid([]), /at least one image/);
  assert.throws(() => imageGrid({ width: 4, height: 4, rgb: new Uint8Array(5) }), /48 bytes of RGB, this one has 5/);
  assert.throws(() => imageGrid(tensor([1, 2], [1, 2])), /\[height, width, 3\].*\[1, 2\]/);
  assert.throws(() => traceView([]), /at least one trace/);
});

/** No script, no foreign image, no event handler outside of quoted attribute values. */
function harmless(markup: string): boolean {
  const unquoted = markup.replace(/"[^"]*"/g, '""').replace(/>[^<]*</g, '><');
  return !/<script|<img src=x|\son\w+\s*=|javascript:/i.test(unquoted) && !/<script|<img src=x/i.test(markup);
}

const hostile = '<img src=x onerror=alert(1)><script>alert(2)</script>"\'&</figure>';

test('captions, prompts, facts, rewards, cells and labels cannot inject HTML', async () => {
  const small = image(8, 8, () => 9);
  const views = [
    imageGrid({ image: small, caption: hostile, score: { [hostile]: 1 } }, { title: hostile }),
    traceView({
      title: hostile,
      prompt: hostile,
      understanding: hostile.repeat(9),
      facts: [hostile],
      compoundPrompt: hostile,
      intermediate: [{ image: small, caption: hostile }],
      result: small,
      rewards: { [hostile]: 0.5 },
    }),
    tableView([{ [hostile]: hostile }], { title: hostile }),
    progressView({ label: hostile, done: 1, total: 2, seconds: 1, metrics: { [hostile]: hostile } }),
  ];
  for (const view of views) {
    const bundle = await bundleOf(view);
    const markup = bundle['text/html'] as string;
    assert.ok(markup.includes('&lt;img src=x'));
    assert.ok(harmless(markup), view.constructor.name);
  }
  const plot = await bundleOf(
    rewardPlot([{ [`reward ${hostile}`]: 1 }, { [`reward ${hostile}`]: 2 }], { title: hostile }),
  );
  assert.ok(harmless(plot['image/svg+xml'] as string));
});

test('any caption comes out of the HTML as it went in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 60 }), async (caption) => {
      const bundle = await bundleOf(tableView([{ caption }]));
      const cell = /<td[^>]*>([\s\S]*?)<\/td>/.exec(bundle['text/html'] as string)?.[1] ?? '';
      assert.doesNotMatch(cell, /[<>"']/);
      const named: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&amp;': '&' };
      assert.equal(
        cell.replace(/&(lt|gt|quot|#39|amp);/g, (entity) => named[entity]),
        caption,
      );
    }),
    { numRuns: 50 },
  );
});

test('plain text cannot steer the terminal', () => {
  assert.equal(plainText('a\u001b[2Jb\tc\n'), 'a\uFFFD[2Jb\tc\n');
  assert.doesNotMatch(
    imageGrid({ image: image(8, 8, () => 0), caption: '\u001b]0;owned\u0007' }).text,
    /\u001b|\u0007/,
  );
});

test('a long understanding is folded, a short one is not', async () => {
  const long = await bundleOf(traceView({ understanding: 'so '.repeat(200) }));
  const short = await bundleOf(traceView({ understanding: 'so' }));
  assert.match(long['text/html'] as string, /<details/);
  assert.doesNotMatch(short['text/html'] as string, /<details/);
  assert.match(long['text/plain'] as string, /^understanding: so so/);
});

test('a vega-lite plot comes with its specification, as SVG and as PNG', async () => {
  const bundle = await bundleOf(
    vegaPlot({
      title: 'two bars',
      data: {
        values: [
          { a: 'x', b: 1 },
          { a: 'y', b: 4 },
        ],
      },
      mark: 'bar',
      encoding: { x: { field: 'a' }, y: { field: 'b', type: 'quantitative' } },
    }),
  );
  const spec = bundle['application/vnd.vegalite.v5+json'] as { $schema: string; mark: string };
  assert.equal(spec.$schema, 'https://vega.github.io/schema/vega-lite/v5.json');
  assert.equal(spec.mark, 'bar');
  const svg = bundle['image/svg+xml'] as string;
  assert.match(svg, /^<svg/);
  assert.equal(svg.match(/aria-roledescription="bar"/g)?.length, 2);
  assert.equal((await sharp(Buffer.from(bundle['image/png'] as string, 'base64')).metadata()).format, 'png');
  assert.equal(bundle['text/plain'], 'two bars (2 data points)');
});

test('a plot that asks for the network or for files is refused', async () => {
  for (const url of ['http://example.org/data.json', 'file:///etc/passwd', 'data.csv']) {
    const svg = await bundleOf(vegaPlot({ data: { url }, mark: 'point', encoding: { x: { field: 'a' } } })).then(
      (bundle) => bundle['image/svg+xml'] as string,
      () => '',
    );
    assert.doesNotMatch(svg, /root:/);
  }
});

test('the reward plot draws no spreads and no counts of failures, leaves gaps for missing numbers and averages the rest', () => {
  const rows = [
    { step: 1, 'reward/mean': 1, 'reward/std': 9, reward_std: 9, 'reward/failed': 0, loss: 3 },
    { step: 2, 'reward/mean': NaN },
    { step: 3, 'reward/mean': 3 },
  ];
  const spec = rewardSpec(rows) as { data: { values: unknown[] }; layer: unknown[] };
  assert.deepEqual(spec.data.values, [
    { step: 1, metric: 'reward/mean', value: 1 },
    { step: 3, metric: 'reward/mean', value: 3 },
  ]);
  assert.equal(spec.layer.length, 2);
  assert.match(rewardPlot(rows).text, /^rewards: 3 steps\nreward\/mean {2}▁█ {2}1\.0000 -> 3\.0000$/);
});

test('a sparkline is never wider than asked and spans the blocks', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: false }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 60 }),
      (values, width) => {
        const line = sparkline(values, width);
        assert.ok(line.length <= width);
        assert.match(line, /^[▁▂▃▄▅▆▇█]*$/);
      },
    ),
  );
  assert.equal(sparkline([0, 1]), '▁█');
});

test('tables are paged, say what they left out, and align numbers', async () => {
  const rows = Array.from({ length: 120 }, (_, i) => ({ i, half: i / 2, name: `row ${i}` }));
  const view = tableView(rows, { pageRows: 50, maxRows: 110 });
  const markup = (await bundleOf(view))['text/html'] as string;
  assert.equal(markup.match(/<details>/g)?.length, 2);
  assert.match(markup, /rows 101 to 110/);
  assert.match(markup, /120 rows × 3 columns, 10 more rows not shown/);
  assert.doesNotMatch(markup, /row 110/);
  assert.match(view.text, /\n1 +1 +0\.5000 {2}row 1\n/);
  assert.match(view.text, /\[120 rows × 3 columns, 70 more rows not shown\]$/);
});

test('a tensor shows dtype, shape, summary and small values; NaN is named', () => {
  assert.equal(
    tensorView(tensor([1, 2, 3, 4.5], [2, 2])).text,
    'tensor float32 [2, 2]\nmin 1 · max 4.5 · mean 2.625 · std 1.293\n[[1, 2],\n [3, 4.5]]',
  );
  assert.match(tensorView(tensor([1, NaN], [2])).text, /1 of 2 values are NaN or infinite/);
  assert.match(
    tensorView(
      tensor(
        Array.from({ length: 999 }, (_, i) => i),
        [999],
      ),
    ).text,
    /first values: 0, 1, 2, 3, 4, 5, 6, 7, …/,
  );
  assert.match(tensorView(tensor([], [0, 3])).text, /no values/);
});

test('progress says done, rate, remaining time and metrics, and how it ended', () => {
  const state = { label: 'train', done: 5, total: 20, seconds: 2.5, metrics: { loss: 0.12346 } };
  assert.equal(progressView(state).text, 'train ━━━━━─────────────── 5/20 · 2.0/s · 7.5 s left · loss 0.1235');
  assert.match(
    progressView({ ...state, done: 20, seconds: 200, ended: 'done' }).text,
    /20\/20 · 10\.0 s each · done after 03:20/,
  );
  // 15 of 16 steps are an earlier process's: one took 2.5 s, and so will each of the four that are left.
  const gone = { ...state, done: 16, skipped: 15 };
  assert.match(progressView(gone).text, /━{16}─{4} 16\/20 · 2\.5 s each · 10 s left/);
  assert.match(progressView({ ...gone, done: 15 }).text, /15\/20 · loss/);
});

test('values are shown richly with no call, everything else as text', async () => {
  const types = async (value: unknown): Promise<string[]> => Object.keys(await renderBundle(value)).sort();
  assert.deepEqual(await types(image(8, 8, () => 1)), ['image/png', 'text/html', 'text/plain']);
  assert.deepEqual(await types([image(8, 8, () => 1), image(9, 8, () => 1)]), ['image/png', 'text/html', 'text/plain']);
  assert.deepEqual(await types(tensor(Array<number>(192).fill(0.5), [8, 8, 3])), [
    'image/png',
    'text/html',
    'text/plain',
  ]);
  assert.deepEqual(await types(tensor(Array<number>(192).fill(2), [8, 8, 3])), ['text/html', 'text/plain']);
  assert.deepEqual(
    await types({
      $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
      data: { values: [{ a: 1 }] },
      mark: 'bar',
      encoding: { x: { field: 'a' } },
    }),
    ['application/vnd.vegalite.v5+json', 'image/png', 'image/svg+xml', 'text/plain'],
  );
  assert.deepEqual(await renderBundle({ a: 1 }), { 'text/plain': '{ a: 1 }' });
  assert.deepEqual(await renderBundle({ [jupyterDisplay]: () => ({ 'text/html': '<i>' }), toString: () => 'mine' }), {
    'text/html': '<i>',
    'text/plain': 'mine',
  });
  await assert.rejects(renderBundle({ [jupyterDisplay]: () => 3 }), /must return an object/);
  assert.equal(inspect(new Display('words')), 'words');
});
