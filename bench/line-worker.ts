/** A child process that is asked in JSON lines: one command in, one answer out. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What a worker answers: its values, or an error. */
export type Answer = Readonly<Record<string, unknown>>;

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export class LineWorker {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly waiting: Waiting[] = [];
  private complaints = '';
  private ended: Error | undefined;

  /**
   * @param name what errors call it
   * @param program started at once, with `args`; its environment is ours and `env`
   */
  constructor(
    readonly name: string,
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.child = spawn(program, args, { env: { ...process.env, ...env } });
    this.child.stderr.on(
      'data',
      (piece: Buffer) => (this.complaints = (this.complaints + piece.toString()).slice(-4000)),
    );
    this.child.stdin.on('error', () => undefined); // the 'close' event says what happened
    this.child.on('error', (error) => this.end(`${name} could not be started: ${error.message}`));
    this.child.on('close', (status) => this.end(`${name} ended with status ${status}: ${this.complaints.trim()}`));
    createInterface({ input: this.child.stdout }).on('line', (line) => this.take(line));
  }

  /** @throws Error with what the worker said when it failed or ended */
  async ask(command: Readonly<Record<string, unknown>>): Promise<Answer> {
    if (this.ended) throw this.ended;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.child.stdin.write(`${JSON.stringify(command)}\n`);
    });
    if (typeof answer.error === 'string') throw new Error(`${this.name}: ${answer.error}`);
    return answer;
  }

  /** Ends the worker; it has nothing to save. */
  close(): void {
    this.child.kill();
  }

  private take(line: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(line) as Answer;
    } catch {
      this.complaints += `${line}\n`; // a library that prints to stdout
      return;
    }
    this.waiting.shift()?.resolve(answer);
  }

  private end(why: string): void {
    this.ended ??= new Error(why);
    for (const asked of this.waiting.splice(0)) asked.reject(this.ended);
  }
}

/** Serves commands from stdin until it ends; answers go to stdout. The other half of {@link LineWorker}. */
export async function serveLines(handle: (command: Answer) => Promise<Answer>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    let answer: Answer;
    try {
      answer = await handle(JSON.parse(line) as Answer);
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}
