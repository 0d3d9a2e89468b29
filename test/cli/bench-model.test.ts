import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { formatLargeReport, type LargeReport } from '../../bench/large/measure';
import { LARGE_MODELS, largeModel } from '../../bench/large/models';
import { writeRandomCheckpoint } from '../../bench/large/random-checkpoint';
import type { tf } from '../../src/engine';
import { openSafetensors } from '../../src/io';
import { Module, namedParameters, Parameter } from '../../src/nn/module';
import { parameterCount } from '../../src/nn/store';

class Small extends Module<null> {
  readonly wide = new Parameter<tf.Tensor2D>([101, 77], { normal: 0.5 });
  readonly ones = new Parameter<tf.Tensor1D>([3], { constant: 1 });
  readonly tied = this.wide;
}

const root = path.resolve(__dirname, '../..');
const unilab = (...args: string[]) =>
  spawnSync(process.execPath, [path.join(root, 'bin/unilab'), 'bench', ...args], { encoding: 'utf8', cwd: root });

describe('bench: models of published size', () => {
  test('random weights have the declared spread, are the same for the same seed, and are stored once when tied', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'unilab-test-'));
    const net = new Small(null);
    const read = async (seed: number) => {
      assert.deepEqual(await writeRandomCheckpoint(folder, net, seed), { parameters: 7780, bytes: 15560 });
      const reader = await openSafetensors(folder);
      assert.deepEqual(reader.names.sort(), ['ones', 'wide']);
      const values = await reader.readFloat32('wide');
      assert.deepEqual([...(await reader.readFloat32('ones'))], [1, 1, 1]);
      await reader.close();
      return values;
    };
    const [first, again, other] = [await read(1), await read(1), await read(2)];
    assert.deepEqual(first, again);
    assert.notDeepEqual(first, other);
    const spread = Math.sqrt(first.reduce((sum, v) => sum + v * v, 0) / first.length);
    assert.ok(Math.abs(spread - 0.5) < 0.02, String(spread));
    assert.ok(Math.abs(first.reduce((sum, v) => sum + v, 0) / first.length) < 0.02);
    rmSync(folder, { recursive: true });
  });

  test('the published model is built with its published numbers', () => {
    const sizes = (model: string, file: string) => {
      const net = largeModel(model).files[file];
      return [namedParameters(net).own.size, parameterCount(net)];
    };
    assert.deepEqual(sizes('janus-pro-1b', 'model.safetensors'), [219, 1_652_656_128]);
    // Phi-1.5's 1,418,270,720 with 58,498 rows for its 51,200 in both tables, and norms of queries and keys.
    const showo = 1_418_270_720 + (58_498 - 51_200) * (2 * 2048 + 1) + 24 * 4 * 64;
    assert.deepEqual(sizes('showo-1.3b', 'model.safetensors'), [24 * 18 + 5, showo]);
    assert.throws(() => largeModel('gpt'), /there is no model 'gpt'; there are janus-pro-1b, janus-small/);
    assert.ok(LARGE_MODELS.includes('janus-small'));
  });

  test('writes, loads in a process of its own, decodes, and leaves nothing behind', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'unilab-test-'));
    const { status, stdout, stderr } = unilab(
      '--model',
      'janus-small',
      '--random',
      '--context',
      '8,24',
      '--tokens',
      '2',
      '--folder',
      folder,
      '--json',
    );
    assert.equal(status, 0, stderr);
    const report = JSON.parse(stdout) as LargeReport;
    assert.equal(report.parameters, 11_373_824);
    assert.equal(report.tensors, 57);
    assert.equal(report.heldBytes, 4 * report.parameters);
    assert.equal(report.fileBytes, 2 * report.parameters);
    assert.ok(report.residentPeak >= report.residentAfter - 1e6 && report.residentAfter > report.heldBytes);
    assert.ok(report.loadSeconds > 0 && report.perSecond > 0);
    assert.deepEqual(
      report.timings.map(({ length }) => length),
      [8, 24],
    );
    assert.ok(report.timings.every((timing) => Object.values(timing).every((value) => value > 0)));
    assert.match(
      formatLargeReport(report),
      /11,373,824 parameters in 57 tensors[\s\S]*load time[\s\S]*resident memory[\s\S]*tokens\/s/,
    );
    assert.deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
  });

  test('Show-o is loaded as any checkpoint of it is, makes a step of an image and shows it', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'unilab-test-'));
    const { status, stdout, stderr } = unilab(
      '--model',
      'showo-small',
      '--random',
      '--context',
      '9,16',
      '--folder',
      folder,
      '--json',
    );
    assert.equal(status, 0, stderr);
    const report = JSON.parse(stdout) as LargeReport;
    const { files } = largeModel('showo-small');
    const nets = Object.values(files);
    const total = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b);
    assert.equal(report.tensors, total(nets.map((net) => namedParameters(net).own.size)));
    assert.equal(report.parameters, total(nets.map(parameterCount)));
    assert.equal(report.heldBytes, 4 * report.parameters);
    assert.ok(report.workPeak >= report.residentPeak && report.residentPeak > report.heldBytes);
    assert.deepEqual(
      report.timings.map(({ length }) => length),
      [9, 16],
    );
    assert.ok(report.timings.every((timing) => Object.values(timing).every((value) => value > 0)));
    assert.match(formatLargeReport(report), /transformer and image tokenizer[\s\S]*steps\/s[\s\S]*codes to pixels/);
    assert.deepEqual(readdirSync(folder), []);
    const uneven = unilab('--model', 'showo-small', '--random', '--context', '10', '--folder', folder);
    assert.match(uneven.stderr, /10 codes fill no square/);
    assert.deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
  });

  test('wrong calls are named', () => {
    for (const [args, message] of [
      [['--model', 'gpt', '--random'], /there is no 'gpt'; there are janus-pro-1b/],
      [['--model', 'janus-small'], /say --random/],
      [['--model', 'janus-small', '--random', '--context', '8,x'], /--context needs whole numbers from 1, got 'x'/],
    ] as const) {
      const { status, stderr } = unilab(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
