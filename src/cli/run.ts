/** `unilab run`: notebooks without a browser. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { kernelSpec } from '../../kernel-ext/process/kernelspec';
import { type Command, UsageError } from './command';
import { type CellReport, executeNotebook, type RunFailure } from './runner/execute';
import { RunFiles } from './runner/files';
import { foreignLanguage } from './runner/language';
import { type Notebook, readNotebook } from './runner/notebook';
import { injectParameters, type Parameters, parseParameters } from './runner/parameters';
import { listenForStop, Stopped } from './runner/stop';

const usage = `unilab run NOTEBOOK.ipynb ... [-p NAME=VALUE ...] [--out FILE] [--html FILE] [--timeout S] [--json] [--jobs N]

  -p, --parameter NAME=VALUE  replaces a value of the cell tagged 'parameters' (JSON, else text)
  --out FILE           where the executed notebook goes; default out/NAME.ipynb. The notebook itself is never
                       changed unless FILE names it. With several notebooks: a folder
  --html FILE          an HTML page with every output as well; with several notebooks: a folder
  --timeout S          longest time for one cell in seconds, 0 for no limit; default 1800
  --start-timeout S    longest time until the kernel answers; default 120
  --jobs N             notebooks run at the same time; default 1
  --json               a summary as JSON on standard output

Exit status 1 for an error in a cell, a promise rejected with nobody to handle it, a time-out, a dead kernel,
a cell that was not run, a file that cannot be written. The notebook and its page are saved after every cell, and when
the run is stopped (Ctrl-C, SIGTERM, SIGHUP: exit status 128 and the signal's number). Tags: 'raises-exception' allows a cell to fail, 'skip-execution' leaves it out.`;

interface Job {
  readonly file: string;
  readonly out: string;
  readonly html?: string;
}

interface Summary {
  readonly notebook: string;
  readonly status: 'passed' | 'failed';
  readonly seconds: number;
  readonly out?: string;
  readonly html?: string;
  readonly cells: readonly CellReport[];
  readonly failure?: RunFailure;
}

interface RunOptions {
  readonly parameters: Parameters;
  readonly timeout: number;
  readonly startTimeout: number;
  /** Names the notebook in each line: several run. */
  readonly named: boolean;
  /** Aborted when the runs are to end. */
  readonly signal: AbortSignal;
}

function seconds(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new UsageError(`${name} is a number of seconds from 0, got '${text}'`);
  return value;
}

/** Where a notebook's results go. */
function jobsOf(files: readonly string[], out: string | undefined, html: string | undefined): Job[] {
  const several = files.length > 1;
  const place = (given: string | undefined, ending: string, file: string): string | undefined => {
    if (given === undefined) return undefined;
    const folder = given.endsWith('/') || (existsSync(given) && statSync(given).isDirectory());
    if (several && !folder && path.extname(given) !== '')
      throw new UsageError(`with several notebooks ${given} must be a folder`);
    return folder || several ? path.join(given, `${path.basename(file, '.ipynb')}${ending}`) : given;
  };
  const jobs = files.map((file) => ({
    file,
    out: place(out, '.ipynb', file) ?? path.join('out', `${path.basename(file, '.ipynb')}.ipynb`),
    html: place(html, '.html', file),
  }));
  for (const key of ['out', 'html'] as const) {
    const places = jobs.map((job) => job[key]).filter((one) => one !== undefined);
    if (new Set(places).size < places.length)
      throw new UsageError('two notebooks of the same name would be written to the same place');
  }
  // The default place must not be the notebook itself: only a person may ask for that.
  for (const job of jobs) {
    if (
      out === undefined &&
      existsSync(job.out) &&
      existsSync(job.file) &&
      realpathSync(job.out) === realpathSync(job.file)
    ) {
      throw new UsageError(
        `${job.file} would be overwritten; --out FILE names another place, or this one if that is wanted`,
      );
    }
  }
  return jobs;
}

function firstLine(source: string): string {
  const line = source.split('\n').find((one) => one.trim() !== '') ?? '';
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

async function runOne(job: Job, options: RunOptions): Promise<Summary> {
  const begun = performance.now();
  const say = (line: string): void => console.error(options.named ? `${path.basename(job.file)}: ${line}` : line);
  const summary = await runAndSave(job, options, say);
  if (summary.failure) sayFailure(summary.failure, say);
  return { ...summary, status: summary.failure ? 'failed' : 'passed', seconds: (performance.now() - begun) / 1000 };
}

/** Runs a notebook and saves it after every cell; where nothing was run, nothing is written. */
async function runAndSave(
  job: Job,
  { parameters, timeout, startTimeout, signal }: RunOptions,
  say: (line: string) => void,
): Promise<Omit<Summary, 'seconds' | 'status'>> {
  const unsaved = (failure: RunFailure): Omit<Summary, 'seconds' | 'status'> => ({
    notebook: job.file,
    cells: [],
    failure,
  });
  let notebook: Notebook;
  try {
    if (signal.aborted) return unsaved({ reason: 'stopped', message: 'it was not begun' });
    notebook = injectParameters(readNotebook(job.file), parameters);
    checkLanguage(notebook, job.file);
  } catch (error) {
    return unsaved({ reason: 'start', message: (error as Error).message });
  }
  const files = new RunFiles(notebook, {
    ...job,
    title: path.basename(job.file, '.ipynb'),
    onFailure: ({ message }) => say(`not saved so far: ${message}`),
  });
  // Whoever stops a run may not wait for its cell to end.
  const saveNow = (): void => void files.update();
  let begun = false;
  const { cells, failure } = await executeNotebook(notebook, job.file, {
    argv: kernelSpec().argv,
    timeout,
    startTimeout,
    signal,
    onBegin: () => {
      begun = true;
      files.begin();
      signal.addEventListener('abort', saveNow);
    },
    onCell: ({ cell, status, seconds: took }, of, { source }) => {
      say(`cell ${cell}/${of}  ${status.padEnd(6)}  ${took.toFixed(2)} s  ${firstLine(source)}`);
      return files.update();
    },
  });
  signal.removeEventListener('abort', saveNow);
  if (!begun) return unsaved(failure ?? { reason: 'start', message: 'the kernel did not start' });
  try {
    await files.finish();
  } catch (error) {
    const message = (error as Error).message;
    const both = failure
      ? { ...failure, message: `${failure.message}; ${message}` }
      : { reason: 'save' as const, message };
    return { notebook: job.file, cells, failure: both };
  }
  return { notebook: job.file, out: job.out, html: job.html, cells, failure };
}

function checkLanguage(notebook: Notebook, file: string): void {
  const language = foreignLanguage(notebook);
  const kernel = notebook.metadata.kernelspec?.name ?? 'of no name';
  if (language !== undefined)
    throw new Error(`${file} is a notebook of ${language} (kernel '${kernel}'); unilab runs TypeScript`);
}

function sayFailure(failure: RunFailure, say: (line: string) => void): void {
  say(
    failure.cell === undefined
      ? `failed: ${failure.message}`
      : `cell ${failure.cell} failed (${failure.reason}): ${failure.message}`,
  );
  if (failure.source !== undefined) for (const line of failure.source.split('\n')) say(`  | ${line}`);
  for (const part of failure.traceback ?? []) {
    for (const line of part.split('\n')) say(`  ${process.stderr.isTTY ? line : stripVTControlCharacters(line)}`);
  }
}

/** Runs jobs, at most `atOnce` at the same time; results in the jobs' order. */
async function pool<T, R>(jobs: readonly T[], atOnce: number, run: (job: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = [...jobs.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) results[next[0]] = await run(next[1]);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, jobs.length) }, worker));
  return results;
}

export const command: Command = {
  summary: 'runs notebooks without a browser',
  usage,
  async run(args) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        parameter: { type: 'string', short: 'p', multiple: true },
        out: { type: 'string' },
        html: { type: 'string' },
        timeout: { type: 'string' },
        'start-timeout': { type: 'string' },
        jobs: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    if (positionals.length === 0) throw new UsageError('name at least one notebook');
    const atOnce = Number(values.jobs ?? 1);
    if (!Number.isInteger(atOnce) || atOnce < 1)
      throw new UsageError(`--jobs is a whole number from 1, got '${values.jobs}'`);
    let parameters: Parameters;
    try {
      parameters = parseParameters(values.parameter ?? []);
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
    const jobs = jobsOf(positionals, values.out, values.html);
    const timeout = seconds('--timeout', values.timeout, 1800);
    const startTimeout = seconds('--start-timeout', values['start-timeout'], 120);
    const { signal, release } = listenForStop();
    const options: RunOptions = {
      parameters,
      timeout,
      startTimeout,
      named: jobs.length > 1,
      signal,
    };
    const summaries = await pool(jobs, atOnce, (job) => runOne(job, options)).finally(release);
    const failed = summaries.filter((summary) => summary.status === 'failed').length;
    if (values.json)
      console.log(JSON.stringify({ notebooks: summaries, passed: summaries.length - failed, failed }, null, 2));
    else {
      for (const { notebook, status, seconds: took, out, html } of summaries) {
        const written = [out, html].filter((one) => one !== undefined).join(', ');
        console.log(`${notebook} ${status} in ${took.toFixed(1)} s${written ? ` -> ${written}` : ''}`);
      }
    }
    if (signal.reason instanceof Stopped) return signal.reason.status;
    return failed ? 1 : 0;
  },
};
