/** The kernel under Jupyter's own clients: the protocol's conformance suite, nbclient and nbconvert. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { notebookText, readNotebook } from '../../src/cli/runner/notebook';
import { injectParameters, parseParameters } from '../../src/cli/runner/parameters';
import { finished, JupyterWorld, noJupyter, out, program, root } from './jupyter';
import { outputsOf, readCells, WIDGET } from './notebook';

const skip = noJupyter ?? false;
if (skip) console.log(`Jupyter's clients: skipped, ${skip}`);

/** nbclient on a notebook, in the notebook's folder. */
const nbclient = `
import sys, nbformat
from nbclient import NotebookClient
source, target = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
NotebookClient(notebook, kernel_name="unilab", timeout=900).execute(cwd=".")
nbformat.write(notebook, target)
`;

/**
 * One that shows all that there is to show, and one that trains. All others run in test/notebooks. nbconvert is nbclient
 * with a command line: the one that trains is run by one of the two.
 */
const NOTEBOOKS = [
  { name: '00-kernel', by: ['nbconvert', 'nbclient'] },
  { name: '01-sync-grpo', by: ['nbconvert'] },
] as const;

/** Their outputs beside ours. They leave out what reaches a cell after its end, as what a widget's listener prints. */
function compare(file: string, own: readonly (readonly string[])[]): void {
  const cells = readCells(file);
  const inTime = own.map((said, i) => {
    const outputs = cells[i].outputs ?? [];
    return outputs.some(({ data }) => data && WIDGET in data) ? said.slice(0, outputs.length) : said;
  });
  assert.deepEqual(cells.map(outputsOf), inTime);
}

describe("Jupyter's own clients", { skip }, () => {
  let world: JupyterWorld;
  before(() => (world = new JupyterWorld()));
  after(() => world?.remove());

  test('the conformance suite passes, and nothing in it is skipped for lack of an answer', async () => {
    const { status, stderr } = await finished(program('python'), ['-m', 'unittest', '-v', 'conformance'], {
      cwd: __dirname,
      env: world.env,
    });
    writeFileSync(path.join(out, 'conformance.txt'), stderr);
    assert.equal(status, 0, stderr);
    const skipped = stderr.split('\n').filter((line) => /\.\.\. skipped/.test(line));
    // The pager is a payload, which the protocol has given up.
    assert.deepEqual(
      skipped.filter((line) => !line.startsWith('test_pager')),
      [],
      stderr,
    );
    const passed = stderr.split('\n').filter((line) => /\.\.\. ok$/.test(line)).length;
    console.log(`jupyter_kernel_test: ${passed} passed, ${skipped.length} skipped`);
    assert.ok(passed >= 12, stderr);
  });

  for (const { name, by } of NOTEBOOKS) {
    test(`notebooks/tutorials/${name}.ipynb: our runner and ${by.join(' and ')} leave the same outputs`, async () => {
      const read = readNotebook(path.join(root, 'notebooks/tutorials', `${name}.ipynb`));
      const trains = read.cells.some((cell) => cell.metadata.tags?.includes('parameters'));
      const results = path.join(world.folder, 'results');
      const given = trains ? ['quick=true', `out=${results}`] : [];
      const source = path.join(world.folder, `${name}.ipynb`);
      writeFileSync(source, notebookText(injectParameters(read, parseParameters(given))));
      const target = (by: string): string => path.join(out, `${name}.${by}.ipynb`);
      const options = { cwd: world.folder, env: world.env };
      const run = async (command: string, args: readonly string[]): Promise<void> => {
        // A run that is found there is gone on with, and would show that nothing was left to do.
        rmSync(results, { recursive: true, force: true });
        const { status, stderr } = await finished(command, args, options);
        assert.equal(status, 0, stderr);
      };
      await run(process.execPath, [path.join(root, 'bin/unilab'), 'run', source, '--out', target('unilab')]);
      const own = readCells(target('unilab')).map(outputsOf);
      const clients = {
        nbconvert: () =>
          run(program('jupyter-nbconvert'), [
            ...['--execute', '--to', 'notebook', '--ExecutePreprocessor.timeout=900'],
            ...['--output', `${name}.nbconvert`, '--output-dir', out, source],
          ]),
        nbclient: () => run(program('python'), ['-c', nbclient, source, target('nbclient')]),
      };
      for (const client of by) {
        await clients[client]();
        compare(target(client), own);
      }
    });
  }

  const noPapermill = !skip && !existsSync(program('papermill')) && 'this environment has no papermill';
  test('papermill sets parameters of its own: numbers, texts, true and false', { skip: noPapermill }, async () => {
    const cell = (source: string, tags?: string[]) => ({
      cell_type: 'code',
      execution_count: null,
      metadata: tags ? { tags } : {},
      outputs: [],
      source,
    });
    const shown = 'console.log(steps + 1, `${name}!`, !quick);';
    const notebook = {
      cells: [cell("let steps = 1;\nlet name = 'mira';\nlet quick = true;", ['parameters']), cell(shown)],
      metadata: { kernelspec: { name: 'unilab', display_name: 'UniLab', language: 'typescript' } },
      nbformat: 4,
      nbformat_minor: 4,
    };
    const [source, target] = ['asked', 'answered'].map((name) => path.join(world.folder, `${name}.ipynb`));
    writeFileSync(source, JSON.stringify(notebook));
    const given = ['-p', 'steps', '10', '-p', 'name', 'a "quoted" one', '-p', 'quick', 'False'];
    const args = [source, target, '-k', 'unilab', '--language', '.net-csharp', '--no-progress-bar', ...given];
    const { status, stderr } = await finished(program('papermill'), args, { cwd: world.folder, env: world.env });
    assert.equal(status, 0, stderr);
    const cells = readCells(target);
    assert.equal(cells.length, 3, 'its own parameters stand in a cell of their own');
    assert.deepEqual(outputsOf(cells[2]), ['stream stdout: 11 a "quoted" one! true\n']);
  });
});
