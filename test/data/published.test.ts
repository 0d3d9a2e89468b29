/** The published sets that can be passed on, read whole. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { readDpgPrompts } from '../../src/data/dpg-bench';
import { dreamBenchPrompt, readDreamBench } from '../../src/data/dreambench';
import { readGenEval } from '../../src/data/geneval';
import { collectItems } from '../../src/data/items';
import { readT2ICompBench } from '../../src/data/t2i-compbench';

/** The folder `shared` beside the project, or farther up. */
const shared = ['../../..', '../../../..', '../../../../..']
  .map((up) => path.resolve(__dirname, up, 'shared'))
  .find((folder) => existsSync(folder));
const benchmarks = path.join(shared ?? 'shared', 'benchmarks');
const dreambench = path.join(shared ?? 'shared', 'dreambench', 'dataset');
const skip = (folder: string) => (existsSync(folder) ? false : `${folder} is not there`);

const count = (values: readonly string[]) =>
  Object.fromEntries([...new Set(values)].map((value) => [value, values.filter((other) => other === value).length]));

describe('published prompt sets', { skip: skip(benchmarks) }, () => {
  it('GenEval: 553 items, six tags', async () => {
    const { items, errors } = await collectItems(readGenEval(path.join(benchmarks, 'geneval')));
    assert.deepEqual(errors, []);
    assert.equal(items.length, 553);
    assert.deepEqual(count(items.map(({ tag }) => tag)), {
      single_object: 80,
      two_object: 99,
      counting: 80,
      colors: 94,
      position: 100,
      color_attr: 100,
    });
    assert.deepEqual(items[0], {
      id: '00000',
      tag: 'single_object',
      include: [{ class: 'bench', count: 1 }],
      prompt: 'a photo of a bench',
    });
    assert.equal(items[552].id, '00552');
  });

  it('DPG-Bench: 1,065 prompts', async () => {
    const { items, errors } = await collectItems(readDpgPrompts(path.join(benchmarks, 'dpg_bench')));
    assert.deepEqual(errors, []);
    assert.equal(items.length, 1065);
    assert.equal(new Set(items.map(({ id }) => id)).size, 1065);
    assert.ok(items.every(({ prompt }) => prompt.length > 20));
  });

  it('T2I-CompBench: eight categories of 300', async () => {
    const { items, errors } = await collectItems(readT2ICompBench(path.join(benchmarks, 't2i_compbench')));
    assert.deepEqual(errors, []);
    const counts = count(items.map(({ category }) => category));
    assert.equal(Object.keys(counts).length, 8);
    assert.ok(
      Object.values(counts).every((n) => n === 300),
      JSON.stringify(counts),
    );
    assert.deepEqual(items[0], { id: 'color-1', category: 'color', prompt: 'a green bench and a blue bowl' });
  });
});

describe('DreamBench', { skip: skip(dreambench) }, () => {
  it('has 22 subjects or more, their photographs and 25 prompts each', async () => {
    const { items, errors } = await collectItems(readDreamBench(dreambench));
    assert.deepEqual(errors, []);
    assert.ok(items.length >= 22);
    for (const { prompts, images } of items) {
      assert.equal(prompts.length, 25);
      assert.ok(images.length >= 4 && images.length <= 6);
    }
    const dog = items.find(({ id }) => id === 'dog2');
    assert.equal(dog?.className, 'dog');
    assert.equal(dog?.live, true);
    assert.equal(dreamBenchPrompt(dog?.prompts[10] ?? '', 'sks', 'dog'), 'a sks dog wearing a red hat');
    const sloth = items.find(({ id }) => id === 'grey_sloth_plushie');
    assert.equal(sloth?.live, false);
    assert.equal(
      dreamBenchPrompt(sloth?.prompts[0] ?? '', '', sloth?.className ?? ''),
      'a stuffed animal in the jungle',
    );
  });
});
