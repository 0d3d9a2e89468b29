/** What the training commands share: presets, `--config`, Ctrl-C between two steps, a bar that knows of earlier steps. */
import { readFileSync } from 'node:fs';
import { type ProgressBar, progress } from '../display';
import { UsageError } from './command';

/** @throws UsageError listing the presets that there are */
export function presetIn<P extends object>(presets: P, name: string): P[keyof P] {
  if (!Object.hasOwn(presets, name))
    throw new UsageError(`--preset is ${Object.keys(presets).join(' or ')}, got '${name}'`);
  return presets[name as keyof P];
}

/**
 * @param file `--config`'s; nothing without one
 * @throws UsageError naming the file
 */
export function readConfig(file: string | undefined): object {
  if (file === undefined) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as object;
  } catch (error) {
    throw new UsageError(`--config ${file}: ${(error as Error).message}`);
  }
}

/** @throws UsageError unless it is a whole number from 1 */
export function countOf(name: string, given: string): number {
  const count = Number(given);
  if (!Number.isInteger(count) || count < 1)
    throw new UsageError(`--${name} needs a whole number from 1, got '${given}'`);
  return count;
}

/** Ctrl-C, which ends a run between two steps. A second one ends the process. */
export class Interruption {
  private asked = false;
  private readonly listen = (): void => {
    this.asked = true;
    console.error('stopping after this step; --resume goes on from there');
  };

  constructor() {
    process.once('SIGINT', this.listen);
  }

  get isAsked(): boolean {
    return this.asked;
  }

  release(): void {
    process.removeListener('SIGINT', this.listen);
  }
}

/** A bar over one or several parts of a run. Steps before a part's first one were made by an earlier process. */
export class StepBar {
  private readonly bar: ProgressBar;
  private part: string | undefined;

  constructor(
    private readonly total: number,
    label: string,
  ) {
    this.bar = progress(total, label);
  }

  /** @param step within its part, from 1 */
  step(step: number, metrics: Parameters<ProgressBar['tick']>[0], part = ''): void {
    if (part !== this.part) this.bar.skip(step - 1);
    this.part = part;
    this.bar.tick(metrics);
  }

  /** @param isWhole whether the run came to its end: what was not seen of it had been done before */
  async end(isWhole: boolean): Promise<void> {
    if (isWhole) this.bar.skip(this.total);
    await this.bar.done();
  }
}
