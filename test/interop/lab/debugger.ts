/** Debugging and subshells in JupyterLab, as people do them: a click in the gutter, the panels, the palette's commands. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { eventually } from '../../eventually';
import { cell, command, runCell } from '../browser';
import { out } from '../jupyter';
import { writeNotebook } from '../notebook';
import type { LabSession } from './session';

const cells = [
  "console.warn = () => undefined;\nimport * as tf from '@tensorflow/tfjs';",
  `function half(pair: { a: number }): number {
  const weights = tf.tensor([[1, 2.5], [3, 4]]);
  const [down, right] = tf.meshgrid(tf.linspace(0, 1, 32), tf.linspace(0, 1, 32));
  const photo = tf.stack([down, right, tf.onesLike(down)], 2);
  const h = pair.a / 2;
  return h;
}
const got = half({ a: 8 });
got`,
];

// It is interrupted in the end, and ends by itself where that fails.
const busy = `console.log('runs');
let step = 0, loss = 1;
const end = Date.now() + 600_000;
while (Date.now() < end) { step++; loss = 1 / step; }
step > 0`;

/** Of the pictures that are kept. */
const size = { width: 1200, height: 760 };

/** One line of the Variables panel for each variable: its name and what is shown of it. */
async function variables(page: Page): Promise<Record<string, string>> {
  const names = await page.locator('.jp-DebuggerVariables-body .jp-DebuggerVariables-name').allInnerTexts();
  const details = await page.locator('.jp-DebuggerVariables-body .jp-DebuggerVariables-detail').allInnerTexts();
  return Object.fromEntries(names.map((name, at) => [name, details[at]]));
}

/** Waits until the line that is about to run is this one. */
const stoppedOn = (page: Page, line: string): Promise<void> =>
  page.locator('.jp-DebuggerEditor-highlight', { hasText: line }).waitFor();

export function debuggerInLab(session: LabSession): void {
  const picture = (name: string): Promise<unknown> =>
    session.page.screenshot({ path: path.join(out, `debugger-${name}.png`) });

  test('a breakpoint stops a cell; locals and tensors are seen; a step; on', async () => {
    const { page } = session;
    await page.setViewportSize(size);
    writeNotebook(path.join(session.folder, 'debug.ipynb'), cells);
    await session.open('debug.ipynb');
    await command(page, 'application:toggle-left-area');
    await command(page, 'notebook:run-cell-and-select-next');
    await page.evaluate("document.querySelector('.jp-NotebookPanel .jp-DebuggerBugButton').click()");
    // The gutter's first element is a spacer.
    await cell(page, 1).locator('.cm-breakpoint-gutter .cm-gutterElement').nth(5).click();
    await page.locator('.jp-DebuggerBreakpoint').first().waitFor();

    await runCell(page, 1);
    await stoppedOn(page, 'const h = pair.a / 2;');
    const row = page.locator('.jp-DebuggerVariables-body .jp-TreeItem', { hasText: 'photo' });
    await row.waitFor();
    assert.match(String(await page.locator('.jp-DebuggerCallstackFrame').first().innerText()), /^half/);
    const seen = await variables(page);
    assert.deepEqual([seen.pair, seen.h], ['{ a: 8 }', 'undefined']);
    assert.match(seen.weights, /^Tensor float32 \[2,2\].* 1 … 4: 1, 2.5, 3, 4$/);
    await row.hover();
    await row.locator('[title="Render variable: photo"]').click();
    const image = page.locator('.jp-VariableRendererPanel img');
    await image.waitFor();
    const box = await image.boundingBox();
    assert.ok(box && box.width >= 32, JSON.stringify(box));
    await picture('stopped');

    await command(page, 'debugger:next');
    await stoppedOn(page, 'return h;');
    await page.locator('.jp-DebuggerVariables-body .jp-TreeItem', { hasText: /h\s*4/ }).waitFor();
    assert.equal((await variables(page)).h, '4');
    await command(page, 'debugger:continue');
    const result = cell(page, 1).locator('.jp-OutputArea-executeResult');
    await result.waitFor();
    assert.match(await result.innerText(), /^\[2\]:\s*4$/);
    assert.equal(await page.locator('.jp-DebuggerCallstackFrame').count(), 0);
  });

  test('a subshell’s console completes and looks while a cell computes without a pause', async () => {
    const { page } = session;
    await page.setViewportSize(size);
    writeNotebook(path.join(session.folder, 'subshell.ipynb'), [busy]);
    await session.open('subshell.ipynb');
    await command(page, 'application:toggle-left-area');
    await runCell(page, 0);
    await cell(page, 0).locator('.jp-OutputArea-output', { hasText: 'runs' }).waitFor();
    await command(page, 'notebook:create-subshell-console');
    const prompt = page.locator('.jp-ConsolePanel .jp-CodeConsole-promptCell .cm-content').first();
    await prompt.click();
    // A console that has just opened may not complete yet: whoever sees nothing writes again.
    await eventually(async () => {
      await page.keyboard.press('ControlOrMeta+A');
      await page.keyboard.type('loss.toF');
      await page.keyboard.press('Tab');
      await page.locator('.jp-Completer-item', { hasText: 'toFixed' }).waitFor({ timeout: 10_000 });
    });
    await page.keyboard.press('Enter');
    await page.keyboard.type('(3)');
    await page.keyboard.press('Shift+Enter');
    const answer = page.locator('.jp-ConsolePanel .jp-OutputArea-executeResult');
    await answer.waitFor();
    assert.match(await answer.innerText(), /^\[1\]:\s*'?"?0\.0\d\d/);
    assert.equal(await cell(page, 0).locator('.jp-InputPrompt').innerText(), '[*]:');
    await picture('subshell');
    await command(page, 'notebook:interrupt-kernel');
    await cell(page, 0).locator('.jp-OutputArea-output', { hasText: 'Interrupted' }).waitFor();
  });
}
