/** The recipes start on checkpoints in published layouts: here at about a hundredth of their size. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { MODELS, type RealSizeReport, realSizeStep } from '../../scripts/real-size/real-size';
import { janusSizes } from '../../scripts/real-size/sizes';
import { paddedTokenizer } from '../../scripts/real-size/tokenizer';
import { tokenizerOf } from '../../src/text/tokenizer';

const scratch = mkdtempSync(path.join(tmpdir(), 'unilab-real-size-test-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

for (const name of Object.keys(MODELS) as (keyof typeof MODELS)[])
  test(`${name}, small: the recipe takes a step with LoRA and gradient checkpointing`, async () => {
    const out = path.join(scratch, 'reports.json');
    const report = await realSizeStep(name, { size: 'small', out, folder: scratch });
    assert.ok(report.metrics.grad_norm > 0 && Number.isFinite(report.metrics.reward));
    assert.ok(report.learned > 0 && report.learned < report.parameters / 10, 'adapters alone learn');
    assert.ok(report.parts.some(({ part }) => part.startsWith('step')));
    assert.ok(report.peakGiB > 0 && report.minutes > 0);
    const reports = JSON.parse(readFileSync(out, 'utf8')) as Record<string, RealSizeReport>;
    assert.deepEqual(reports[name].options, report.options);
    const left = readdirSync(scratch).filter((file) => file !== 'reports.json');
    assert.deepEqual(left, [], 'the checkpoint is removed');
    assert.ok(existsSync(out));
  });

test('a padded tokenizer knows the words at their ids, and every other id', () => {
  const { vocab_size: size } = janusSizes.published.text;
  const tokenizer = tokenizerOf(paddedTokenizer(size, 16, { '<image>': 3 }));
  assert.equal(tokenizer.vocabularySize, size);
  assert.deepEqual(tokenizer.encode('a photo'), [27, 50]);
  assert.equal(tokenizer.decode([27, 50]), 'a photo');
  assert.equal(tokenizer.tokenOf(3), '<image>');
  assert.deepEqual(tokenizer.encode(tokenizer.decode([size - 1, 27])), [size - 1, 27]);
});
