import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  bandChart,
  bands,
  dotChart,
  figure,
  FIGURE_WIDTHS,
  figureSvg,
  gridFigure,
  jupyterDisplay,
  numberLine,
  pdfOf,
  readNumberLines,
  stacked,
  svgOf,
} from '../../src/display';

const note = {
  name: 'a-figure',
  caption: '50% of R_f & <more>',
  command: 'make figures',
  sources: ['data/papers/mm-r1.json'],
  notes: ['mini_clip stands in for CLIP'],
};
const rows = [
  { panel: 'CLIP-T', method: 'base', value: 0.25, low: 0.2, high: 0.3, series: 'ours' },
  { panel: 'CLIP-T', method: 'full', series: 'ours' },
];

describe('charts', () => {
  it('bands: mean and range over seeds of smoothed curves, step by step', () => {
    const curve = (seed: number, values: readonly number[]) =>
      values.map((value, i) => ({ panel: 'reward', series: 'full', seed, step: i + 1, value }));
    assert.deepEqual(bands([...curve(1, [0, 2, 4]), ...curve(2, [2, 4])], 2), [
      { panel: 'reward', series: 'full', step: 1, seeds: 2, mean: 1, low: 0, high: 2 },
      { panel: 'reward', series: 'full', step: 2, seeds: 2, mean: 2, low: 1, high: 3 },
      { panel: 'reward', series: 'full', step: 3, seeds: 1, mean: 3, low: 3, high: 3 },
    ]);
  });

  it('the mean stands within the band', () => {
    const value = fc.float({ min: -10, max: 10, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.array(value, { minLength: 3, maxLength: 3 }), { minLength: 1 }), (runs) => {
        const curves = runs.flatMap((values, seed) =>
          values.map((value, step) => ({ panel: 'p', series: 's', seed, step, value })),
        );
        for (const { low, mean, high, seeds } of bands(curves, 2)) {
          assert.ok(low <= mean + 1e-9 && mean <= high + 1e-9);
          assert.equal(seeds, runs.length);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('what was not run is said in its place; scores have dots and intervals', async () => {
    const svg = await svgOf(dotChart(rows, { title: 'scores' }));
    for (const text of ['CLIP-T', 'base', 'full', 'not run', 'scores'])
      assert.ok(svg.includes(`>${text}</text>`), text);
    assert.equal(svg.match(/aria-roledescription="point"/g)?.length, 1);
  });

  it('curves and charts below each other are drawn', async () => {
    const curves = [0, 1, 2].map((step) => ({ panel: 'kl', series: 'full', seed: 1, step, value: step }));
    const svg = await svgOf(stacked([dotChart(rows), bandChart(curves, { targets: { kl: 1.5 } })]));
    for (const text of ['CLIP-T', 'kl', 'step']) assert.ok(svg.includes(`>${text}</text>`), text);
  });
});

describe('figures', () => {
  it('say their numbers beside the drawing: dots with intervals, first and last steps of curves', async () => {
    const curve = [1, 2, 3].map((step) => ({ panel: 'kl', series: 'full', seed: 1, step, value: step / 3 }));
    const drawn = stacked([
      dotChart([...rows, { ...rows[0], panel: 'a panel of many words', low: undefined }]),
      bandChart(curve),
    ]);
    const shown = await figure(drawn, note);
    const lines = [
      'CLIP-T | base | ours: 0.25 [0.2, 0.3]',
      'a panel of many words | base | ours: 0.25',
      'kl | step 1 | full: 0.3333 [0.3333, 0.3333]',
      'kl | step 3 | full: 1 [1, 1]',
    ];
    assert.equal(shown.text, [`Figure a-figure: ${note.caption}`, ...lines].join('\n'));
    assert.deepEqual(readNumberLines(shown.text).map(numberLine), lines);
    assert.deepEqual(readNumberLines('a | b | c: -1.2e-7 [-2, 3e+21]'), [
      { panel: 'a', row: 'b', series: 'c', value: -1.2e-7, low: -2, high: 3e21 },
    ]);
    const bundle = await shown[jupyterDisplay]();
    assert.ok(String(bundle['text/html']).includes(`<pre>${lines.join('\n')}</pre>`));
  });

  it('are exactly as wide as a column or a page, with their notes on them and their caption within', () => {
    const svg = '<svg width="100" height="50" viewBox="0 0 100 50"><path d="M0,0L100,50"/></svg>';
    const page = figureSvg(svg, note);
    assert.match(page, new RegExp(`<svg [^>]*width="${FIGURE_WIDTHS.page}pt"`));
    assert.match(figureSvg(svg, { ...note, width: 'column' }), /<svg [^>]*width="234pt"/);
    assert.match(page, /<text[^>]*>mini_clip stands in for CLIP<\/text>/);
    assert.match(page, /<desc>50% of R_f &amp; &lt;more&gt; Made by: make figures\./);
    assert.throws(() => figureSvg('<svg><path/></svg>', note), /width and height/);
  });

  it('are written as SVG, PDF with embedded fonts, and LaTeX', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'figures-'));
    try {
      const shown = await figure(dotChart(rows), note, folder);
      assert.deepEqual(readdirSync(folder).sort(), ['a-figure.pdf', 'a-figure.svg', 'a-figure.tex']);
      const pdf = readFileSync(path.join(folder, 'a-figure.pdf'), 'latin1');
      assert.ok(pdf.startsWith('%PDF-'));
      assert.match(pdf, /\/MediaBox \[0 0 486 /);
      assert.match(pdf, /\/FontName \/[A-Z]+\+Arimo/);
      const tex = readFileSync(path.join(folder, 'a-figure.tex'), 'utf8');
      assert.match(tex, /\\caption\{50\\% of R\\_f \\& <more>\}/);
      assert.match(tex, /^% make figures\n% numbers: data\/papers\/mm-r1\.json/);
      const markup = String((await shown[jupyterDisplay]())['text/html']);
      assert.match(markup, /<figcaption/);
      assert.match(markup, /50% of R_f &amp; &lt;more&gt;/);
      await assert.rejects(
        figure(dotChart(rows), { ...note, name: '../x' }, folder),
        /small letters, digits and dashes/,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('of images: rows and columns with texts, and the same bytes each time', async () => {
    const image = { width: 8, height: 8, rgb: new Uint8Array(192).fill(40) };
    const cells = [{ image, text: '0.5' }, { text: 'not run' }];
    const svg = await gridFigure({ columns: ['before', 'after'], rows: [{ label: 'a <red> car', cells }] });
    assert.equal(svg.match(/<image /g)?.length, 1);
    for (const text of ['before', 'after', 'not run', 'a &lt;red&gt; car']) assert.ok(svg.includes(`>${text}</text>`));
    // A sheet that is twice as wide as high leaves no empty half under it: 14 above the row, 50 of image, 13 under it.
    const wide = {
      columns: [''],
      rows: [{ label: '', cells: [{ image: { width: 8, height: 4, rgb: new Uint8Array(96) } }] }],
      cell: 100,
    };
    assert.match(await gridFigure(wide), /<image x="94.0" y="14.0" width="100.0" height="50.0" /);
    assert.match(await gridFigure(wide), /^<svg [^>]* height="77">/);
    const drawn = figureSvg(svg, note);
    const [one, two] = [await pdfOf(drawn, note), await pdfOf(drawn, note)];
    assert.ok(one.equals(two));
    assert.match(one.toString('latin1'), /\/Subtype \/Image/);
  });
});
