/** Widgets in JupyterLab: the page moves one and the kernel sees it, the kernel changes one and the page shows it. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { command, runCell } from '../browser';
import { out } from '../jupyter';
import { writeNotebook } from '../notebook';
import type { LabSession } from './session';

const cells = [
  `import { AnyWidget, samplerPlayground, slider } from 'unilab/display';
const counter = new AnyWidget({
  state: { count: 1 },
  _esm: \`export default { render({ model, el }) {
    const button = document.createElement('button');
    const show = () => (button.textContent = 'count ' + model.get('count'));
    button.className = 'counter';
    button.onclick = () => { model.set('count', model.get('count') + 1); model.save_changes(); };
    model.on('change:count', show);
    show();
    el.append(button);
  } }\`,
  _css: '.counter { color: rgb(1, 2, 3) }',
});
counter.on('change', ({ count }, origin) => console.log(origin, count));
counter`,
  'counter.set({ count: 40 });\ncounter.state.count',
  `const size = slider({ min: 0, max: 4, step: 1, value: 2, description: 'size' });
size.on('change', ({ value }) => counter.set({ count: 100 + value! }));
size`,
  `const playground = samplerPlayground(async function* ({ steps, seed }) {
  for (let step = 1; step <= steps; step++)
    yield { image: { width: 8, height: 8, rgb: new Uint8Array(192).fill(30 * step + seed) }, caption: 'step ' + step };
}, { prompt: 'a dog', steps: 3, maxSteps: 6 });
await playground.draw();
playground`,
];

const says = (page: Page, text: string): Promise<void> => page.locator('button.counter', { hasText: text }).waitFor();

/** @param why the page cannot show any, if it cannot */
export function widgetsInLab(session: LabSession, why?: string): void {
  const options = { skip: why ?? false };
  test('a widget moves and the kernel sees it; the kernel changes it and the page shows it', options, async () => {
    const { page } = session;
    writeNotebook(path.join(session.folder, 'widgets.ipynb'), cells);
    await session.open('widgets.ipynb');
    await runCell(page, 0);
    await says(page, 'count 1');
    assert.equal(
      await page.evaluate("getComputedStyle(document.querySelector('button.counter')).color"),
      'rgb(1, 2, 3)',
    );
    await page.locator('button.counter').click();
    const first = page.locator('.jp-CodeCell').first();
    await first.locator('.jp-OutputArea-output', { hasText: 'page 2' }).waitFor();

    await runCell(page, 1);
    await says(page, 'count 40');
    await first.locator('.jp-OutputArea-output', { hasText: 'code 40' }).waitFor();

    await runCell(page, 2);
    const track = page.locator('.widget-slider .noUi-base');
    const box = await track.boundingBox();
    assert.ok(box);
    await track.click({ position: { x: 0.75 * box.width, y: box.height / 2 } });
    await says(page, 'count 103');
    assert.match(await page.locator('.widget-slider').innerText(), /size\s*3/);
  });

  test('the sampler playground draws what the page asks for', options, async () => {
    const { page } = session;
    writeNotebook(path.join(session.folder, 'playground.ipynb'), [cells[0], cells[3]]);
    await session.open('playground.ipynb');
    await command(page, 'notebook:run-all-cells');
    const images = page.locator('.unilab-playground img');
    await images.nth(2).waitFor();
    assert.equal(await images.count(), 3);
    await page.locator('.unilab-playground input[name=steps]').fill('5');
    await images.nth(4).waitFor();
    await page.locator('.unilab-status', { hasText: '5 steps' }).waitFor();
    await page.locator('.unilab-playground button').click();
    await page.waitForFunction("document.querySelector('.unilab-playground input[name=seed]').value === '1'");
    await page.waitForFunction("document.querySelectorAll('.unilab-playground img')[4]?.naturalWidth === 8");
    await page.locator('.unilab-playground').scrollIntoViewIfNeeded();
    await page.screenshot({ path: path.join(out, 'widgets.png') });
  });
}
