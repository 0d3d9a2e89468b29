/** JupyterLab, a browser, and a page for each test: what all tests in JupyterLab share, as it takes long to start. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { PATIENCE } from '../../eventually';
import { Lab, startBrowser } from '../browser';
import { JupyterWorld } from '../jupyter';

export class LabSession {
  /** The page of the test that runs. */
  page!: Page;
  /** What dialogs of the page said. */
  dialogs: string[] = [];
  folder = '';
  private world?: JupyterWorld;
  private lab?: Lab;
  private browser?: Browser;

  async start(): Promise<void> {
    this.world = new JupyterWorld();
    this.folder = path.join(this.world.folder, 'notebooks');
    mkdirSync(this.folder);
    [this.lab, this.browser] = await Promise.all([Lab.start(this.world, this.folder), startBrowser()]);
  }

  async newPage(): Promise<void> {
    if (!this.browser) throw new Error('the session was not started');
    this.page = await this.browser.newPage({ viewport: { width: 1300, height: 1500 } });
    this.page.setDefaultTimeout(PATIENCE); // a machine under load is slow, not wrong
    this.dialogs = [];
    this.page.on('dialog', (dialog) => {
      this.dialogs.push(dialog.message());
      void dialog.dismiss();
    });
  }

  /** Opens a notebook of {@link LabSession.folder} and waits until its kernel answers. */
  async open(name: string): Promise<void> {
    await this.lab?.open(this.page, name);
  }

  async stop(): Promise<void> {
    await this.browser?.close();
    await this.lab?.stop();
    this.world?.remove();
  }
}
