/** Every example of docs/extending.md: its files are laid over a copy of the sources, compiled with types, and run. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

const root = path.resolve(__dirname, '../..');
const page = readFileSync(path.join(root, 'docs/extending.md'), 'utf8');

interface Block {
  readonly language: string;
  /** What stands behind the language: `title="..."`, `after="..."`. */
  readonly title?: string;
  readonly after?: string;
  readonly text: string;
}

const attribute = (info: string, name: string) => new RegExp(`${name}="([^"]*)"`).exec(info)?.[1];

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```$/gm)].map(([, language, info, text]) => ({
    language,
    title: attribute(info, 'title'),
    after: attribute(info, 'after'),
    text,
  }));
}

const sections = page
  .split(/^## /m)
  .slice(1)
  .map((section) => ({ name: section.split('\n')[0], blocks: blocksOf(section) }))
  .filter(({ blocks }) => blocks.some(({ title }) => title));

let copy: string;
before(() => {
  copy = mkdtempSync(path.join(tmpdir(), 'unilab-extending-'));
  for (const name of [
    'src',
    'bench',
    'test/parity/checks',
    'kernel-ext',
    'data/mini-world',
    'package.json',
    'tsconfig.json',
  ])
    cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  for (const { blocks } of sections) for (const block of blocks) lay(block);
});
after(() => rmSync(copy, { recursive: true, force: true }));

/** A file of its own, or one line behind an anchor of a file that is there. */
function lay({ title, after: anchor, text }: Block): void {
  if (!title) return;
  const file = path.join(copy, title);
  if (anchor === undefined) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return;
  }
  const there = readFileSync(file, 'utf8');
  assert.equal(there.split(anchor).length, 2, `${title} should hold '${anchor}' once`);
  writeFileSync(
    file,
    there.replace(anchor, () => `${anchor}\n${text.trimEnd()}`),
  );
}

function node(...args: string[]) {
  const env = { ...process.env, UNILAB_PRECISION: 'float32', TS_NODE_PROJECT: path.join(copy, 'tsconfig.json') };
  return spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8', env });
}

describe('docs/extending.md', () => {
  it('adds a reward, a loss, a data set, a recipe and a backbone: each a file or folder and at most one line', () => {
    assert.deepEqual(
      sections.map(({ name }) => name.toLowerCase().replace(/^an? /, '')),
      ['reward', 'loss', 'data set', 'recipe', 'backbone'],
    );
    for (const { name, blocks } of sections) {
      const files = blocks.filter(({ title, after: anchor }) => title?.startsWith('src/') && anchor === undefined);
      const lines = blocks.filter(({ after: anchor }) => anchor !== undefined);
      const folders = new Set(files.map(({ title = '' }) => (name.includes('backbone') ? path.dirname(title) : title)));
      assert.ok(folders.size + lines.length <= 2 && folders.size <= 1 && lines.length <= 1, name);
    }
  });

  it('compiles, with types', () => {
    const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
    const config = {
      extends: './tsconfig.json',
      compilerOptions: { noEmit: true, declaration: false },
      include: ['src', 'scripts'],
    };
    writeFileSync(path.join(copy, 'tsconfig.check.json'), JSON.stringify(config));
    const { status, stdout } = node(compiler, '-p', 'tsconfig.check.json', '--pretty', 'false');
    assert.equal(status, 0, stdout);
  });

  for (const { name, blocks } of sections) {
    const script = blocks.find(({ title }) => title?.startsWith('scripts/'))?.title;
    const expected = blocks.find(({ language }) => language === 'text')?.text;
    it(`${name}: runs and prints what the page says`, () => {
      assert.ok(script && expected !== undefined, 'a script and its output');
      const { status, stdout, stderr } = node('--require', 'ts-node/register/transpile-only', script);
      assert.equal(status, 0, stderr);
      assert.equal(stdout.trim(), expected.trim());
    });
  }
});
