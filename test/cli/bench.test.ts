import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, test } from 'node:test';
import { LineWorker } from '../../bench/line-worker';
import { type BenchReport, formatReport, median, ratiosOf, type Timing, WORKS } from '../../bench/report';
import { findTorch } from '../../bench/torch';

const root = path.resolve(__dirname, '../..');

function timing(side: Timing['side'], work: Timing['work'], middle: number): Timing {
  return { side, work, precision: 'bf16', seconds: [middle], median: middle, cpuMedian: 2 * middle };
}

describe('bench: numbers', () => {
  test('the median of odd and even counts, in any order', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.throws(() => median([]), RangeError);
  });

  test('ratios are ours over theirs, and only where both were measured', () => {
    const timings = [timing('unilab', 'train', 3), timing('pytorch', 'train', 2), timing('unilab', 'replay', 1)];
    assert.deepEqual(ratiosOf(timings), [{ work: 'train', precision: 'bf16', ratio: 1.5, cpuRatio: 1.5 }]);
  });
});

describe('bench: workers', () => {
  const program = (body: string) => [
    '-e',
    `require('readline').createInterface({input: process.stdin}).on('line', (line) => {${body}})`,
  ];

  test('answers come in the order of the questions; an answer may be an error', async () => {
    const worker = new LineWorker('echo', process.execPath, program('console.log("noise"); console.log(line)'));
    try {
      const answers = await Promise.all([1, 2, 3].map((n) => worker.ask({ n })));
      assert.deepEqual(answers, [{ n: 1 }, { n: 2 }, { n: 3 }]);
      await assert.rejects(worker.ask({ error: 'no such work' }), /echo: no such work/);
    } finally {
      worker.close();
    }
  });

  test('a worker that dies, or was never there, is said by name with what it said', async () => {
    const dying = new LineWorker('mortal', process.execPath, program('console.error("out of luck"); process.exit(3)'));
    await assert.rejects(dying.ask({}), /mortal ended with status 3: out of luck/);
    await assert.rejects(dying.ask({}), /mortal ended/);
    const absent = new LineWorker('absent', '/nowhere/python', []);
    await assert.rejects(absent.ask({}), /absent could not be started: .*ENOENT/);
  });

  test('a Python without PyTorch is named, with what to do', () => {
    const found = findTorch('/nowhere/python');
    assert.ok('reason' in found);
    assert.match(found.reason, /\/nowhere\/python.*make torch/);
  });
});

describe('bench: the command', () => {
  test('times the four works and says where the time goes; beside PyTorch, where there is one, the numbers agree', () => {
    const args = [
      path.join(root, 'bin/unilab'),
      'bench',
      '--small',
      '--repeats',
      '1',
      '--precision',
      'float32',
      '--json',
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root });
    assert.equal(status, 0, stderr);
    const report = JSON.parse(stdout) as BenchReport;
    for (const work of WORKS) {
      const ours = report.timings.find((t) => t.side === 'unilab' && t.work === work);
      assert.ok(ours && ours.median > 0 && ours.cpuMedian > 0);
      const profile = report.profile[work];
      assert.ok(profile && profile.kernels.length > 5);
      assert.ok(profile.kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0) <= profile.elapsed);
    }
    if (report.pytorchSkipped) {
      assert.deepEqual(report.agreement, []);
      assert.match(formatReport(report), /PyTorch was skipped: .*PyTorch/);
    } else {
      const quantities = report.agreement.map(({ quantity }) => quantity);
      const ofGrpo = ['reward of fixed codes', 'GRPO loss', 'GRPO gradient norm'];
      assert.deepEqual(quantities, ['mean replayed log p', ...ofGrpo, 'training loss']);
      for (const { quantity, unilab, pytorch } of report.agreement) {
        const apart = Math.abs(unilab - pytorch);
        const most = ofGrpo.includes(quantity) ? 1e-3 * Math.abs(pytorch) : 1e-4;
        assert.ok(pytorch !== 0 && apart < most, `${quantity}: ${unilab} and ${pytorch}`);
      }
    }
    assert.match(formatReport(report), /training step +float32/);
  });

  test('without PyTorch a GRPO step is timed alone, and the report says what was skipped', () => {
    const args = ['bench', '--small', '--repeats', '1', '--precision', 'float32', '--work', 'grpo', '--no-torch'];
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, 'bin/unilab'), ...args], {
      encoding: 'utf8',
      cwd: root,
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /GRPO step +float32 +[0-9.]+ +- +- +-\n/);
    assert.match(stdout, /PyTorch was skipped: --no-torch was given/);
    assert.doesNotMatch(stdout, /on the same weights/);
  });

  test('wrong calls are named', () => {
    for (const [args, message] of [
      [['--repeats', '0'], /--repeats/],
      [['--work', 'sleep'], /there is no 'sleep'/],
      [['--precision', 'int4'], /'int4'/],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, [path.join(root, 'bin/unilab'), 'bench', ...args], {
        encoding: 'utf8',
      });
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
