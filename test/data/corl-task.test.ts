import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { CorlFiles, THINK_FIRST } from '../../src/data/corl-task';
import { Rng } from '../../src/engine';
import { savePng } from '../../src/io';
import { answerAccuracy, answerFormat } from '../../src/rewards';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-corl-files-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const file = path.join(folder, 'data.jsonl');
const line = (more: object) => ({
  ...{ real_image: '0.png', prompt: 'a red dog', qa_problem: 'what is it ?', qa_solution: 'a dog', qa_type: 'OE' },
  ...more,
});
const write = (...lines: object[]) => writeFileSync(file, lines.map((one) => JSON.stringify(one)).join('\n'));

test('records become examples: the image resized, the instruction behind the question, the answer in its form', async () => {
  await savePng(path.join(folder, '0.png'), { width: 6, height: 4, rgb: new Uint8Array(72).fill(90) });
  write(line({}));
  const task = await CorlFiles.open(file, { size: 8 });
  const example = await task.sample(new Rng(1));
  assert.deepEqual([example.references[0].width, example.references[0].height], [8, 8]);
  assert.deepEqual(example.question, [example.references[0], `what is it ?\n${THINK_FIRST}`]);
  assert.deepEqual(example.truth, { solution: 'a dog', problem: 'what is it ?', form: 'open_ended' });
  assert.equal(example.completion, '<think></think><answer>a dog</answer>');
  assert.equal(answerFormat(example.completion), 1);
});

test('a thought that the data has is kept; multiple choice is told by its type', async () => {
  const qa_solution = '<think>it barks</think><answer>B</answer>';
  write(line({ qa_solution, qa_type: 'MC', qa_problem: 'what is it ?\nA. a cat\nB. a dog' }));
  const { truth, completion, question } = await (await CorlFiles.open(file, { instruction: '' })).sample(new Rng(1));
  assert.equal(completion, qa_solution);
  assert.deepEqual([truth.solution, truth.form, question[1]], ['B', 'multiple_choice', truth.problem]);
  assert.equal(answerAccuracy('<answer>a dog</answer>', truth).value, 1);
});

test('an empty file is refused by name', async () => {
  write();
  await assert.rejects(CorlFiles.open(file), /data\.jsonl holds no example/);
});
