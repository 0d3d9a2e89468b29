/** JupyterLab in a browser without a screen. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import sharp from 'sharp';
import { type JupyterWorld, program } from './jupyter';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function findChromium(): string | undefined {
  const { UNILAB_CHROMIUM, PATH = '' } = process.env;
  if (UNILAB_CHROMIUM) return isProgram(UNILAB_CHROMIUM) ? UNILAB_CHROMIUM : undefined;
  const places = PATH.split(path.delimiter).filter(Boolean);
  return names.flatMap((name) => places.map((folder) => path.join(folder, name))).find(isProgram);
}

const found = findChromium();

/** Why no browser can be used; undefined where one can. */
export const noBrowser = found
  ? undefined
  : `there is no Chromium (${process.env.UNILAB_CHROMIUM ? `UNILAB_CHROMIUM=${process.env.UNILAB_CHROMIUM} cannot be run` : `looked on PATH for ${names.join(', ')}`}); on Debian: apt-get install chromium, or let UNILAB_CHROMIUM name one`;

/** Starts Chromium. Its sandbox does not work for root, who is who runs containers. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: found,
    args: process.getuid?.() === 0 ? ['--no-sandbox', '--disable-gpu'] : ['--disable-gpu'],
  });
}

/** A JupyterLab server over one folder. */
export class Lab {
  private constructor(
    private readonly server: ChildProcess,
    private readonly address: string,
    private readonly token: string,
  ) {}

  static async start(world: JupyterWorld, folder: string): Promise<Lab> {
    // No questions on the first start, and every cell drawn although it is out of sight.
    const settings: Record<string, object> = {
      'apputils-extension/notification': { fetchNews: 'false', checkForUpdates: false, doNotDisturbMode: true },
      'notebook-extension/tracker': { windowingMode: 'none' },
    };
    for (const [name, content] of Object.entries(settings)) {
      const file = path.join(world.folder, 'settings', '@jupyterlab', `${name}.jupyterlab-settings`);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify(content));
    }
    const token = randomUUID();
    const server = spawn(
      program('jupyter-lab'),
      [
        '--no-browser',
        '--allow-root',
        '--expose-app-in-browser',
        '--ServerApp.ip=127.0.0.1',
        '--ServerApp.port=0',
        `--IdentityProvider.token=${token}`,
        `--ServerApp.root_dir=${folder}`,
      ],
      { cwd: folder, env: world.env, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const address = await new Promise<string>((resolve, reject) => {
      let said = '';
      server.stderr.on('data', (text: Buffer) => {
        said += text.toString();
        const [match] = /http:\/\/127\.0\.0\.1:\d+\//.exec(said) ?? [];
        if (match) resolve(match);
      });
      server.once('exit', (code) => reject(new Error(`JupyterLab ended with status ${code}:\n${said}`)));
    });
    return new Lab(server, address, token);
  }

  /** Opens a notebook and waits until its kernel answers. */
  async open(page: Page, name: string): Promise<void> {
    await page.goto(`${this.address}lab/workspaces/${path.parse(name).name}/tree/${name}?token=${this.token}`);
    await page.waitForSelector('.jp-Notebook .jp-CodeCell');
    const session = 'window.jupyterapp?.shell.currentWidget?.context?.sessionContext';
    await page.waitForFunction(`${session}?.session?.kernel?.connectionStatus === 'connected'`);
    await page.evaluate(`${session}.session.kernel.info.then(() => undefined)`);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.server.once('exit', resolve));
    this.server.kill('SIGTERM');
    const alarm = setTimeout(() => this.server.kill('SIGKILL'), 15_000);
    await ended;
    clearTimeout(alarm);
  }
}

/**
 * Watches the first plot of the page from now on, ten times a second.
 * @returns waits until it was seen in so many different states
 */
export async function watchPlot(page: Page): Promise<(states: number) => Promise<void>> {
  await page.evaluate(`window.plotStates = new Set(); setInterval(() => {
    const canvas = document.querySelector('.jp-OutputArea-output .vega-embed canvas');
    if (canvas?.width) window.plotStates.add(canvas.toDataURL());
  }, 100)`);
  return async (states) => {
    await page.waitForFunction(`window.plotStates.size >= ${states}`);
  };
}

/** Runs one of JupyterLab's commands and waits for its end. */
export async function command(page: Page, name: string): Promise<void> {
  await page.evaluate(`window.jupyterapp.commands.execute(${JSON.stringify(name)}).then(() => undefined)`);
}

/** A code cell of the notebook that is open, from 0. */
export const cell = (page: Page, at: number): Locator => page.locator('.jp-NotebookPanel .jp-CodeCell').nth(at);

/** Runs a cell as people do, by its keys. */
export async function runCell(page: Page, at: number): Promise<void> {
  await cell(page, at).locator('.cm-content').click();
  await page.keyboard.press('Control+Enter');
}

/** How many pixels of a screenshot's part are of a color, each channel within `tolerance`. */
export async function pixelsOf(
  screenshot: Buffer,
  box: { x: number; y: number; width: number; height: number },
  [red, green, blue]: readonly [number, number, number],
  tolerance = 24,
): Promise<number> {
  const { data } = await sharp(screenshot)
    .extract({
      left: Math.round(box.x),
      top: Math.round(box.y),
      width: Math.round(box.width),
      height: Math.round(box.height),
    })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  let count = 0;
  for (let i = 0; i < data.length; i += 3) {
    const near = [red, green, blue].every((value, c) => Math.abs(data[i + c] - value) <= tolerance);
    if (near) count += 1;
  }
  return count;
}
