/** Time that a run has taken over all of its processes, and lines about how far it is. */
import { existsSync, readFileSync } from 'node:fs';
import { writeFileAtomic } from '../../src/io/write-file';

/** Seconds between two lines, and between two notes of the time. */
const EVERY = 20;

export class Clock {
  private readonly earlier: number;
  private readonly started = performance.now();
  private told = performance.now();
  private stage = '';
  private stageStarted = performance.now();
  private stageFrom = 0;

  /** @param file holds the seconds of processes that were killed */
  constructor(
    private readonly file: string,
    private readonly say: (line: string) => void,
  ) {
    this.earlier = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  }

  get minutes(): number {
    return (this.earlier + (performance.now() - this.started) / 1000) / 60;
  }

  /** After every step: now and then a line with an estimate. */
  async tick(stage: string, done: number, of: number): Promise<void> {
    if (stage !== this.stage) [this.stage, this.stageStarted, this.stageFrom] = [stage, performance.now(), done];
    if (performance.now() - this.told < EVERY * 1000 && done < of) return;
    this.told = performance.now();
    await writeFileAtomic(this.file, String(this.minutes * 60));
    const perStep = (performance.now() - this.stageStarted) / 1000 / Math.max(1, done - this.stageFrom);
    const left = done < of && done > this.stageFrom ? `, about ${inWords(perStep * (of - done))} left` : '';
    this.say(`  ${stage} ${done}/${of}${left}`);
  }
}

/** `40 s`, `12 min`, `2.1 h`. */
export function inWords(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
