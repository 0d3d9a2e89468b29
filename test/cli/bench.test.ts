import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { LineWorker } from '../../bench/line-worker';
import { benchFigure } from '../../bench/figure';
import { type BenchReport, floorOf, formatReport, median, quantile, ratiosOf, type Timing } from '../../bench/report';
import { SIDE_TITLES, WORKS } from '../../bench/report';
import { BENCH_SEED, janusOf, MODELS, showoOf, sizesFor } from '../../bench/sizes';
import { findTorch } from '../../bench/torch';
import { svgOf } from '../../src/display/plot';
import { miniText } from '../../src/miniworld/curricula/scenes';
import { JanusLayers } from '../../src/models/janus/network';
import { ShowoLayers } from '../../src/models/showo/layers';
import { parameterCount } from '../../src/nn/store';

const root = path.resolve(__dirname, '../..');

function timing(side: Timing['side'], work: Timing['work'], middle: number): Timing {
  const quartiles = [middle, middle] as const;
  return { side, work, seconds: [middle], median: middle, quartiles, cpuMedian: 2 * middle };
}

/** A report of one model, as a run leaves it. */
function reportOf(timings: readonly Timing[]): BenchReport {
  return {
    command: 'unilab bench',
    seed: 7,
    date: '2026-01-02',
    versions: { unilab: '1' },
    machine: { cores: 2 },
    precision: 'bf16',
    ceiling: { unilab: 100, pytorch: 200 },
    models: [
      {
        model: '6M',
        parameters: 6_158_422,
        sizes: sizesFor('6M', false),
        timings,
        ratios: ratiosOf(timings),
        agreement: [{ quantity: 'training loss', unilab: 2, pytorch: 2.5 }],
        operations: { train: 4e11 },
        compiled: [],
        peakBytes: 1e9,
        profile: {},
      },
    ],
  };
}

describe('bench: numbers', () => {
  test('the median of odd and even counts, in any order', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.throws(() => median([]), RangeError);
  });

  test('ratios are ours over theirs, and only where both were measured', () => {
    const timings = [timing('traced', 'train', 3), timing('torch', 'train', 2), timing('traced', 'replay', 1)];
    assert.deepEqual(ratiosOf(timings), [{ work: 'train', against: 'torch', ratio: 1.5, cpuRatio: 1.5 }]);
    const faster = [
      ...timings,
      timing('compiled', 'train', 1.5),
      timing('eager', 'train', 9),
      timing('float32', 'train', 1),
    ];
    assert.deepEqual(ratiosOf(faster), [{ work: 'train', against: 'compiled', ratio: 2, cpuRatio: 2 }]);
  });

  test('quartiles lie between values; the floor is what products take at the faster ceiling', () => {
    assert.deepEqual(
      [0, 0.25, 0.5, 0.75, 1].map((share) => quantile([4, 1, 3, 2, 5], share)),
      [1, 2, 3, 4, 5],
    );
    assert.equal(quantile([1, 2], 0.25), 1.25);
    const report = reportOf([timing('traced', 'train', 3), timing('torch', 'train', 4)]);
    assert.equal(floorOf(report.models[0], report, 'train'), 2);
    assert.equal(floorOf(report.models[0], report, 'replay'), undefined);
    const text = formatReport(report);
    assert.match(text, /6,158,422 parameters; images 28, asked 12/);
    assert.match(text, /training step +3\.000 \(3\.00-3\.00\) +4\.000 \(4\.00-4\.00\) +0\.75 +2\.000\n/);
    assert.match(text, /training loss on the same weights: UniLab 2\.0+, PyTorch 2\.50+ \(5\.0e-1 apart\)/);
  });

  test('the figure has a bar for each side of each work, over PyTorch’s time, and can be drawn', async () => {
    const report = reportOf([timing('traced', 'train', 3), timing('torch', 'train', 4), timing('traced', 'grpo', 1)]);
    const spec = benchFigure(report);
    const { values } = spec.data as { values: { side: string; share: number; floor: number | null }[] };
    assert.deepEqual(
      values.map(({ side, share, floor }) => [side, share, floor]),
      [
        [SIDE_TITLES.traced, 0.75, 0.5],
        [SIDE_TITLES.torch, 1, 0.5],
      ],
    );
    assert.match(await svgOf(spec), /<svg[\s\S]*training step[\s\S]*<\/svg>/);
  });

  test('models are about as large as they are called', () => {
    for (const name of MODELS) {
      const text = miniText();
      const named = parseInt(name) * 1e6;
      const showo = parameterCount(new ShowoLayers(showoOf(name, text)));
      assert.ok(Math.abs(showo / named - 1) < 0.1, `Show-o ${name}: ${showo}`);
      // Janus' tables of codes and its head are counted apart from its decoder.
      const decoder = parameterCount(JanusLayers.of(janusOf(name, text, 8)).model.language_model);
      assert.ok(decoder > 0.6 * named && decoder < 1.1 * named, `Janus ${name}: ${decoder}`);
    }
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

const unilab = (...args: string[]) =>
  spawnSync(process.execPath, [path.join(root, 'bin/unilab'), 'bench', ...args], { encoding: 'utf8', cwd: root });

describe('bench: the command', () => {
  const small = ['--small', '--repeats', '1', '--models', '6M', '--precision', 'float32'];

  test('times every work, traced and not; beside PyTorch, where there is one, the numbers agree', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'unilab-bench-test-'));
    const out = path.join(folder, 'new', 'bench.json');
    const { status, stderr } = unilab(...small, '--no-compile', '--out', out);
    assert.equal(status, 0, stderr);
    const report = JSON.parse(readFileSync(out, 'utf8')) as BenchReport;
    assert.match(readFileSync(path.join(folder, 'new', 'bench.svg'), 'utf8'), /<svg/);
    rmSync(folder, { recursive: true });
    assert.match(report.command, /^unilab bench --small/);
    assert.equal(report.seed, BENCH_SEED);
    assert.ok(report.versions.unilab && Number(report.machine.cores) > 0 && Number(report.ceiling.unilab) > 0);
    const [{ timings, agreement, compiled, operations }] = report.models;
    for (const work of WORKS) {
      const own = timings.filter((timing) => timing.work === work);
      assert.deepEqual(
        own.map(({ side }) => side),
        report.pytorchSkipped ? ['traced', 'eager'] : ['traced', 'eager', 'torch'],
      );
      assert.ok(
        own.every(({ median, cpuMedian, quartiles: [low, high] }) => low <= median && median <= high && cpuMedian > 0),
      );
      if (!report.pytorchSkipped) assert.ok(Number(operations[work]) > 1e6, work);
    }
    if (String(report.machine.engine).startsWith('tensorflow') && process.env.UNILAB_TRACE !== '0') {
      const names = compiled.map(({ name }) => name);
      assert.ok(names.includes('replay with gradient') && names.includes('masked decoding step'), names.join());
    }
    if (report.pytorchSkipped) assert.match(formatReport(report), /PyTorch was skipped: .*PyTorch/);
    else agreeing(agreement);
  });

  const agreeing = (agreement: BenchReport['models'][number]['agreement']) => {
    const ofGrpo = ['reward of fixed codes', 'GRPO loss', 'GRPO gradient norm'];
    assert.deepEqual(
      agreement.map(({ quantity }) => quantity),
      [...ofGrpo, 'log p of drawn codes', 'mean replayed log p', 'training loss'],
    );
    for (const { quantity, unilab: ours, pytorch } of agreement) {
      const most = ofGrpo.includes(quantity) ? 1e-3 * Math.abs(pytorch) : 1e-4;
      assert.ok(pytorch !== 0 && Math.abs(ours - pytorch) < most, `${quantity}: ${ours} and ${pytorch}`);
    }
  };

  test('where nothing can be written is told before anything is measured', () => {
    const { status, stderr } = unilab(...small, '--no-torch', '--out', '/dev/null/report.json');
    assert.equal(status, 2);
    assert.match(stderr, /--out: nothing can be written into \/dev\/null: /);
    assert.doesNotMatch(stderr, /weights and inputs/);
  });

  test('without PyTorch a work is timed alone; the report says what was skipped, and where the time goes', () => {
    const { status, stdout, stderr } = unilab(...small, '--work', 'replay', '--no-torch', '--profile');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /replay with gradient +[0-9.]+ \(.+\) +[0-9.]+ \(.+\) +- +-\n/);
    assert.match(stdout, /PyTorch was skipped: --no-torch was given/);
    assert.match(stdout, /where the time of 'replay with gradient' goes[\s\S]+MatMul/);
    assert.doesNotMatch(stdout, /on the same weights/);
  });

  test('wrong calls are named', () => {
    for (const [args, message] of [
      [['--repeats', '0'], /--repeats/],
      [['--work', 'sleep'], /there is no 'sleep'/],
      [['--models', '7B'], /there is no '7B'/],
      [['--memory', '--steps', '20'], /over 50 steps at least/],
      [['--precision', 'int4'], /'int4'/],
    ] as const) {
      const { status, stderr } = unilab(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
