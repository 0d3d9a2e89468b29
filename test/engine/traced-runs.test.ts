/** What tracing costs: memory of a step, and what a whole run compiles. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { onTrace, startEngine, traced, type TraceEvent, traceReports, tracingWorks, tf } from '../../src/engine';
import { sayCompilations } from '../../src/cli/compilations';
import { finished, setupOf } from '../recipes/finished';
import { tinyOptions } from '../recipes/tiny-task';

let works = false;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  works = tracingWorks();
});

describe('the memory of a step', () => {
  it('is what its operations take, and gradient checkpointing saves it in a traced step too', (t) => {
    if (!works) return t.skip('functions are traced on the tensorflow engine alone');
    const args = ['--require', 'ts-node/register/transpile-only', path.join(__dirname, 'step-memory.ts')];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const peaks = JSON.parse(stdout) as Record<string, number>;
    assert.ok(peaks['plain, eager'] > 2e8, stdout);
    assert.ok(peaks['plain, traced'] < 1.1 * peaks['plain, eager'], stdout);
    // Merged with the first computation, or done all at once, what is recomputed would take the memory that it saves.
    assert.ok(peaks['checkpointed, traced'] < 1.4 * peaks['checkpointed, eager'], stdout);
    assert.ok(peaks['checkpointed, traced'] < 0.3 * peaks['plain, traced'], stdout);
  });
});

describe('a run of Sync-GRPO', () => {
  it('compiles 8 functions beside those of the subject, at most 16 programs, each in less than 5 s; none is left', async (t) => {
    if (!works) return t.skip('functions are traced on the tensorflow engine alone');
    const events: TraceEvent[] = [];
    const stop = onTrace((event) => void events.push(event));
    await finished(await setupOf(), tinyOptions({ steps: 6, subject: { understanding: 2, generation: 1, steps: 12 } }));
    stop();
    const names = events.map(({ name }) => name);
    assert.ok(names.includes('policy gradient') && names.includes('update'), names.join(', '));
    // Prompts of both pathways and thinned groups have shapes of their own: a function has up to three programs.
    assert.ok(names.length <= 16, `${names.length}: ${names.join(', ')}`);
    const reinforcement = names.filter((name) => !name.startsWith('concept '));
    assert.ok(new Set(reinforcement).size <= 8, names.join(', '));
    for (const stage of ['understanding', 'generation'])
      assert.ok(names.filter((name) => name === `concept ${stage}: loss and gradient`).length <= 2, names.join(', '));
    for (const { name, seconds } of events) assert.ok(seconds < 5, `${name}: ${seconds} s`);
    assert.deepEqual(traceReports(), []);
  });
});

describe('what is compiled', () => {
  it('is said: once for a program, and once more when a number turns out to vary', (t) => {
    if (!works) return t.skip('functions are traced on the tensorflow engine alone');
    const lines: string[] = [];
    const write = t.mock.method(console, 'error', (line: string) => void lines.push(line));
    const stop = sayCompilations();
    const x = tf.ones([3]);
    const fn = traced('scaled', (by: number) => tf.sum(tf.mul(tf.exp(x), by)));
    for (const by of [2, 2, 2, 3, 4, 5]) fn(by).dispose();
    stop();
    write.mock.restore();
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.match(lines[0], /^unilab: compiled 'scaled': 3 operations, 1 inputs, \d+\.\d\d s$/);
    assert.match(lines[1], /^unilab: compiled 'scaled': 3 operations, 2 inputs, \d+\.\d\d s$/);
    assert.equal(fn.report().programs[0].compilations, 2);
    fn.dispose();
    x.dispose();
  });
});
