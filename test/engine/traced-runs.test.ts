/** What tracing costs: memory of a step, and what a whole run compiles. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { onTrace, startEngine, traced, type TraceEvent, traceReports, tracingWorks, tf } from '../../src/engine';
import { sayCompilations } from '../../src/cli/compilations';
import { openSyncGrpo } from '../../src/miniworld/sync-grpo';

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
  it('compiles 12 programs, none of them for long: the mini preset, from the tokens to both evaluations', async (t) => {
    if (!works) return t.skip('functions are traced on the tensorflow engine alone');
    const events: TraceEvent[] = [];
    const stop = onTrace((event) => void events.push(event));
    // Half a group, to be quicker: its parts have the sizes of a whole one's. Both pathways come within four steps.
    const set = ['steps=4', 'groupSize=12', 'dsog.batch=24', 'subject.steps=40', 'seed=1'];
    const run = await openSyncGrpo('mira', { set });
    const pathways = new Set<string>();
    try {
      for await (const _ of run.learnSubject());
      await run.evaluate(48);
      for await (const { example } of run.steps()) pathways.add(example.pathway);
      await run.evaluate(48);
    } finally {
      await run.close();
      stop();
    }
    const names = events.map(({ name }) => name);
    assert.deepEqual([...pathways].sort(), ['tia', 'via']);
    assert.deepEqual(names.map((name) => name.split(',')[0]).sort(), [
      'concept generation: loss and gradient',
      'concept understanding: loss and gradient',
      'decoded images',
      'detector',
      'masked decoding step',
      'masked decoding step', // the first step of an image, and all others
      'mini-face',
      'mini-figure',
      'mini_clip',
      'policy gradient',
      'policy gradient', // of text, and of images
      'word by word',
    ]);
    // On a machine of its own each takes less than 5 s.
    for (const { name, seconds } of events) assert.ok(seconds < 60, `${name}: ${seconds} s`);
    const owned = traceReports().map(({ name }) => name.split(',')[0]);
    assert.deepEqual(owned.sort(), ['detector', 'mini-face', 'mini-figure', 'mini_clip']); // the scorers' own
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
