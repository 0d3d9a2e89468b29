/** The programs of `kernel/`, each a process of its own, two at a time. Jupyter's clients are needed by some. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';

const folder = path.join(__dirname, 'kernel');
const root = path.join(__dirname, '../..');
const programs = readdirSync(folder).filter((name) => /^\d\d-/.test(name));

/** A Python with Jupyter's clients, or one that will say that it has none. */
function python(): string {
  const own = path.join(process.env.UNILAB_JUPYTER_VENV ?? path.join(root, '.venv/lab'), 'bin/python');
  return existsSync(own) ? own : (process.env.PYTHON ?? 'python3');
}

function ended(program: string): Promise<{ status: number | string; printed: string }> {
  const file = path.join(folder, program);
  const [command, args] = program.endsWith('.py')
    ? [python(), [file]]
    : program.endsWith('.sh')
      ? ['sh', [file]]
      : [process.execPath, [file]];
  const options = { env: { ...process.env, UNILAB_ROOT: root }, timeout: 600_000 };
  return new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      const { code } = (error ?? { code: 0 }) as { code?: number | string | null };
      resolve({ status: code ?? 'killed', printed: `${stdout}${stderr}` });
    });
  });
}

async function holds(context: TestContext, program: string): Promise<void> {
  const { status, printed } = await ended(program);
  const untried = status === 2 || (status === 'ENOENT' && program.endsWith('.py'));
  if (!untried) return assert.equal(status, 0, printed);
  const reason = `${program}: not tried, ${printed.trim() || 'there is no Python'}`;
  console.log(reason);
  return context.skip(reason);
}

describe('cases of the kernel and the runner', () => {
  it('are all there', () => {
    const numbers = new Set(programs.map((name) => Number(name.slice(0, 2))));
    assert.deepEqual(
      [...numbers],
      Array.from({ length: 32 }, (_, i) => i + 1),
    );
  });

  describe('two at a time', { concurrency: 2 }, () => {
    for (const name of programs) it(name, (context) => holds(context, name));
  });
});
