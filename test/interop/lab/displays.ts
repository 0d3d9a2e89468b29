/** What people see of displays in JupyterLab, and what hostile text cannot do there. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';
import { eventually } from '../../eventually';
import { command, pixelsOf, watchPlot } from '../browser';
import { hostileCells, hostileMarkdown, hostileTexts } from '../hostile';
import { finished, out, root } from '../jupyter';
import { outputsOf, readCells, writeNotebook } from '../notebook';
import type { LabSession } from './session';

/** Vega's first two colors, one for each metric. */
const lines = [
  [76, 120, 168],
  [245, 133, 24],
] as const;

/** The colors of the four images. */
const flats = [
  [255, 0, 255],
  [0, 200, 80],
  [250, 170, 0],
  [20, 60, 220],
] as const;

/** After so many steps the cell waits until the page was seen in one more state. */
const pauses = [20, 40, 60];

/** @param folder where a file `seen-N` says that the page has shown the plot as of step N: a second run finds them all */
const seen = (folder: string): string[] => [
  "import { livePlot, imageGrid, progress, tableView } from 'unilab';",
  `import { existsSync } from 'node:fs';
const plot = livePlot({ title: 'a reward that grows', metrics: ['reward/mean', 'reward/best'] });
const bar = progress(80, 'training');
for (let step = 1; step <= 80; step++) {
  plot.push({ step, 'reward/mean': 1 - Math.exp(-step / 20), 'reward/best': 1.2 - Math.exp(-step / 20) });
  bar.tick({ reward: step / 80 });
  const hangs = Date.now() + 300_000;
  while (${JSON.stringify(pauses)}.includes(step) && !existsSync(${JSON.stringify(path.join(folder, 'seen-'))} + step)) {
    if (Date.now() > hangs) throw new Error('the page has not shown step ' + step);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
await plot.done();
await bar.done();`,
  `const flat = (r: number, g: number, b: number) =>
  ({ width: 16, height: 16, rgb: Uint8Array.from({ length: 768 }, (_, i) => [r, g, b][i % 3]) });
imageGrid(
  [${flats.map((color) => `flat(${color.join()})`).join()}].map((image, i) => ({ image, caption: 'image ' + i, score: i / 4 })),
  { title: 'four images', size: 96, columns: 4 },
)`,
  "tableView(Array.from({ length: 30 }, (_, i) => ({ n: i, square: i * i, name: 'row ' + i })), { title: 'squares', pageRows: 8 })",
];

/** A cell that shows HTML of its own, which at last says that it was drawn. */
const ownHtml = (html: string): string =>
  `({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': ${JSON.stringify(`${html}<img src=y onerror="window.drawn=1">`)} }) })`;

export function displaysInLab(session: LabSession): void {
  test('a notebook runs; the live plot, the image grid and the table are seen', async () => {
    writeNotebook(path.join(session.folder, 'seen.ipynb'), seen(session.folder));
    await session.open('seen.ipynb');
    const plotSeen = await watchPlot(session.page);
    const watched = async (): Promise<void> => {
      for (const [i, step] of pauses.entries()) {
        await plotSeen(i + 1);
        writeFileSync(path.join(session.folder, `seen-${step}`), '');
      }
    };
    await Promise.all([command(session.page, 'notebook:run-all-cells'), watched()]);
    await command(session.page, 'docmanager:save');

    await session.page.locator('.jp-OutputArea-output table').first().waitFor();
    const plot = session.page.locator('.jp-OutputArea-output .vega-embed canvas').first();
    const images = session.page.locator('.jp-OutputArea-output img');
    await images.nth(3).waitFor();
    const table = session.page.locator('.jp-OutputArea-output table').first();
    // The page is drawn when its output is there, or somewhat later.
    await eventually(async () => {
      const screenshot = await session.page.screenshot({ path: path.join(out, 'lab.png') });
      const [plotBox, tableBox] = [await plot.boundingBox(), await table.boundingBox()];
      assert.ok(plotBox && plotBox.width > 300 && plotBox.height > 200, JSON.stringify(plotBox));
      for (const color of lines) {
        const pixels = await pixelsOf(screenshot, plotBox, color);
        assert.ok(pixels > 200, `no line of colour ${color.join()} in the plot`);
      }
      for (const [i, color] of flats.entries()) {
        const box = await images.nth(i).boundingBox();
        assert.ok(box);
        const share = (await pixelsOf(screenshot, box, color, 8)) / (box.width * box.height);
        assert.ok(share > 0.9 && box.width >= 64, `image ${i}: ${share} of ${box.width} x ${box.height} pixels`);
      }
      assert.ok(tableBox && tableBox.y + tableBox.height < 1500, 'the table is within the screenshot');
      assert.ok((await pixelsOf(screenshot, tableBox, [33, 33, 33], 60)) > 200, 'the table has text');
    });
    assert.match(await table.innerText(), /7\s+7\s+49\s+row 7/);
  });

  test('the notebook saved there holds the final state, as our runner leaves it', async () => {
    const file = path.join(session.folder, 'seen.ipynb');
    const own = path.join(session.folder, 'own.ipynb');
    const { status, stderr } = await finished(process.execPath, [
      path.join(root, 'bin/unilab'),
      'run',
      file,
      '--out',
      own,
    ]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(readCells(file).map(outputsOf), readCells(own).map(outputsOf));
    assert.deepEqual(
      readCells(file).map((cell) => cell.execution_count),
      [1, 2, 3, 4],
    );
  });

  const pwned = (): Promise<unknown> => session.page.evaluate('window.pwned ?? 0');
  const links = (): Promise<string[]> =>
    session.page.evaluate(
      `[...document.querySelectorAll('a, area, form, iframe')].flatMap((one) => ['href', 'xlink:href', 'action', 'src', 'srcdoc'].map((name) => one.getAttribute(name) ?? ''))
        .filter((address) => /^\\s*(javascript|data(?!:image\\/(png|svg))|vbscript):|</i.test(address))`,
    );
  /** Runs the notebook and waits until its outputs are drawn, those of a page's own HTML after all others. */
  async function runAll(): Promise<void> {
    await command(session.page, 'notebook:run-all-cells');
    await session.page.waitForFunction('window.drawn === 1');
    await session.page.evaluate('new Promise((done) => requestIdleCallback(done))');
  }
  /** Hovers over and clicks on every plot and every link of the outputs. */
  async function touch(selector: string): Promise<void> {
    for (const one of await session.page.locator(selector).all()) {
      await one.hover({ timeout: 1000, force: true }).catch(() => undefined);
      await one.click({ timeout: 1000, force: true, noWaitAfter: true }).catch(() => undefined);
    }
  }

  test('hostile texts in every display run nothing in JupyterLab', async () => {
    writeNotebook(path.join(session.folder, 'hostile.ipynb'), [...hostileCells, `%md ${hostileMarkdown}`, ownHtml('')]);
    await session.open('hostile.ipynb');
    await runAll();
    await session.page.locator('.jp-OutputArea-output .vega-embed canvas').nth(2).waitFor();
    await session.page.screenshot({ path: path.join(out, 'hostile.png') });
    const errors = await session.page
      .locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]')
      .allInnerTexts();
    assert.deepEqual(errors, []);
    await touch(
      '.jp-OutputArea-output .vega-embed canvas, .jp-OutputArea-output .vega-embed svg, .jp-OutputArea-output a',
    );
    assert.deepEqual(await links(), []);
    assert.equal(await pwned(), 0);
    assert.deepEqual(session.dialogs, []);
    // The texts are there, as text.
    const shown = (await session.page.locator('.jp-OutputArea-output figure').allTextContents()).join('\n');
    for (const text of [...hostileTexts.slice(0, 3), hostileTexts[10]]) assert.ok(shown.includes(text), text);
  });

  test('hostile texts run nothing in the HTML export, even where its content policy is taken away', async () => {
    const [html, notebook] = ['hostile.html', 'hostile.ipynb'].map((name) => path.join(session.folder, name));
    const args = ['run', notebook, '--out', path.join(session.folder, 'hostile-out.ipynb'), '--html', html];
    const { status, stderr } = await finished(process.execPath, [path.join(root, 'bin/unilab'), ...args]);
    assert.equal(status, 0, stderr);
    const bare = path.join(session.folder, 'bare.html');
    const text = readFileSync(html, 'utf8');
    const without = text.replace(/<meta\s+http-equiv="Content-Security-Policy"[^>]*>/, '');
    assert.notEqual(without, text);
    writeFileSync(bare, without);
    for (const file of [html, bare]) {
      await session.page.goto(pathToFileURL(file).href);
      await session.page.evaluate('new Promise((done) => requestIdleCallback(done))');
      await touch('a, img, details');
      assert.deepEqual(await links(), []);
      assert.equal(await pwned(), 0);
    }
    assert.deepEqual(session.dialogs, []);
    await session.page.screenshot({ path: path.join(out, 'hostile-export.png') });
  });

  test('and these tests would notice: HTML that a cell writes itself does run in JupyterLab', async () => {
    writeNotebook(path.join(session.folder, 'own-html.ipynb'), [
      ownHtml('<img src=x onerror="window.pwned=1"><a href="javascript:0">x</a>'),
    ]);
    await session.open('own-html.ipynb');
    await runAll();
    assert.equal(await pwned(), 1);
    assert.equal((await links()).length, 1);
  });
}
