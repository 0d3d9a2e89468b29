/** Training progress: one line that updates in place. */
import { Display, type MimeBundle } from './bundle';
import { html, plainText } from './html';
import { LiveDisplay, type LiveOptions } from './show';

/** What a bar shows at one moment. */
export interface ProgressState {
  readonly label: string;
  /** Steps done, 0 to `total`. */
  readonly done: number;
  /** How many of them were done before the start: they do not count in the rate. Default 0. */
  readonly skipped?: number;
  readonly total: number;
  /** Seconds since the start. */
  readonly seconds: number;
  /** The last metrics by name. */
  readonly metrics?: Readonly<Record<string, number | string | undefined>>;
  /** Set when it ended; the text says how. */
  readonly ended?: 'done' | 'stopped';
}

/** Seconds as `4.2 s`, `03:20` or `1:03:20`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${two(minutes)}:${two(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

function metricText(value: number | string): string {
  if (typeof value === 'string') return value;
  if (Number.isInteger(value) || !Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toPrecision(4);
}

function facts({ done, skipped = 0, total, seconds, metrics, ended }: ProgressState): string[] {
  const rate = seconds > 0 ? (done - skipped) / seconds : 0;
  const parts = [`${done}/${total}`];
  if (rate > 0) parts.push(rate >= 1 ? `${rate.toFixed(1)}/s` : `${(1 / rate).toFixed(1)} s each`);
  if (ended) parts.push(`${ended} after ${duration(seconds)}`);
  else if (rate > 0) parts.push(`${duration((total - done) / rate)} left`);
  for (const [name, value] of Object.entries(metrics ?? {}))
    if (value !== undefined) parts.push(`${name} ${metricText(value)}`);
  return parts;
}

/** One line: label, bar, done/total, rate, remaining time, last metrics. */
export function progressView(state: ProgressState): Display {
  const fraction = state.total > 0 ? Math.min(1, state.done / state.total) : 1;
  const filled = Math.round(fraction * 20);
  const said = facts(state).join(' · ');
  const text = plainText(`${state.label} ${'━'.repeat(filled)}${'─'.repeat(20 - filled)} ${said}`).replace(/\n/g, ' ');
  return new Display(text, (): MimeBundle => ({
    'text/html': html`<div style="white-space:nowrap;font-variant-numeric:tabular-nums">
      ${state.label}
      <progress
        value="${state.done}"
        max="${state.total}"
        style="vertical-align:middle;width:180px;margin:0 6px"
      ></progress>
      <span>${said}</span>
    </div>`.markup,
  }));
}

/** A bar on the screen. */
export class ProgressBar {
  private readonly live: LiveDisplay;
  private readonly started = performance.now();
  private state: ProgressState;

  constructor(total: number, label: string, options: LiveOptions = {}) {
    if (!Number.isInteger(total) || total < 0)
      throw new RangeError(`a progress bar's total must be a whole number from 0, got ${total}`);
    this.state = { label, done: 0, total, seconds: 0 };
    this.live = new LiveDisplay(undefined, options);
    this.show();
  }

  /** One more step (or `by` more), with the metrics to show from now on. */
  tick(metrics?: ProgressState['metrics'], by = 1): void {
    this.set(this.state.done + by, metrics);
  }

  /** This many steps more were done before, by a run that is gone on with; the rate leaves them out. */
  skip(steps: number): void {
    const kept = Math.min(Math.max(0, steps), this.state.total - this.state.done);
    this.state = { ...this.state, skipped: (this.state.skipped ?? 0) + kept };
    this.set(this.state.done + kept);
  }

  /** This many steps are done. Kept within 0 and the total. */
  set(done: number, metrics?: ProgressState['metrics']): void {
    const kept = Math.min(Math.max(0, done), this.state.total);
    this.state = { ...this.state, done: kept, metrics: metrics ?? this.state.metrics };
    this.show();
  }

  /** Ends the bar: `done` where all steps were made, `stopped` otherwise. */
  async done(metrics?: ProgressState['metrics']): Promise<void> {
    const ended = this.state.done >= this.state.total ? 'done' : 'stopped';
    this.state = { ...this.state, ended, metrics: metrics ?? this.state.metrics };
    this.show();
    await this.live.flush();
  }

  private show(): void {
    this.state = { ...this.state, seconds: (performance.now() - this.started) / 1000 };
    this.live.update(progressView(this.state));
  }
}

/**
 * A progress bar, shown at once: `const bar = progress(200, 'training'); bar.tick({loss}); await bar.done()`.
 * @param total how many steps there will be
 * @throws RangeError unless `total` is a whole number from 0
 */
export function progress(total: number, label = '', options: LiveOptions = {}): ProgressBar {
  return new ProgressBar(total, label, options);
}
