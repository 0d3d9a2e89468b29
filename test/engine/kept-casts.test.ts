/** Weights that a repeated step casts to bfloat16. */
import { strict as assert } from 'node:assert';
import { before, describe, test } from 'node:test';
import {
  RepeatedStep,
  releaseTraced,
  startEngine,
  tf,
  traceReports,
  tracingWorks,
  withoutTracing,
} from '../../src/engine';
import { Bf16Storage } from '../../src/engine/bf16-storage';
import { castsOf } from '../../src/engine/functions/kept-casts';
import type { Program } from '../../src/engine/functions/program';
import { bool, type } from '../../src/engine/ops/kernel';
import { normal } from './numeric';

const [ROWS, WIDTH] = [4, 64];
/** TensorFlow's number for bfloat16 (`DT_BFLOAT16`). */
const BFLOAT16 = 14;

interface Binding {
  getNumOfTensors(): number;
  executeOp(name: string, attributes: object[], ids: number[], outputs: number): { id: number }[];
  deleteTensor(id: number): void;
}
const backend = () =>
  tf.backend() as unknown as {
    binding: Binding;
    getInputTensorIds(tensors: tf.Tensor[]): number[];
    createOutputTensor(metadata: object): tf.Tensor;
  };
const handles = (): number => backend().binding.getNumOfTensors();

/** To bfloat16 and back. */
function rounded(tensor: tf.Tensor): tf.Tensor {
  const to = { ...type('DstT'), value: BFLOAT16 };
  const { binding } = backend();
  const [{ id }] = binding.executeOp(
    'Cast',
    [type('SrcT'), to, bool('Truncate', false)],
    backend().getInputTensorIds([tensor]),
    1,
  );
  const up = [{ ...type('SrcT'), value: BFLOAT16 }, type('DstT'), bool('Truncate', false)];
  try {
    return backend().createOutputTensor(binding.executeOp('Cast', up, [id], 1)[0]);
  } finally {
    binding.deleteTensor(id);
  }
}

describe('casts of weights in a repeated step', () => {
  let works = false;
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
    works = tracingWorks();
  });

  test('are made once: every call gives what single operations give, to the bit, also after the weight was assigned', async (context) => {
    if (!works) return context.skip('the tensorflow engine is not linked, or functions are not traced');
    const owner = {};
    const weight = tf.tidy(() => tf.variable(normal([WIDTH], 3)));
    const other = tf.tidy(() => tf.variable(normal([WIDTH], 4)));
    const compute = ([x]: readonly tf.Tensor[]) =>
      tf.addN([tf.mul(x, rounded(weight)), tf.add(x, rounded(weight)), tf.mul(x, rounded(other))]);
    const step = new RepeatedStep(owner, 'casts', compute);
    const call = async (seed: number) => {
      const x = normal([ROWS, WIDTH], seed);
      const [ours, expected] = [step.run([x]), await withoutTracing(() => tf.tidy(() => compute([x])))];
      assert.deepEqual(ours.dataSync(), expected.dataSync());
      tf.dispose([x, ours, expected]);
    };
    await call(1);
    const before = [tf.memory().numTensors, handles()];
    for (let seed = 2; seed < 6; seed++) await call(seed);
    // Two casts, one of which is used twice.
    assert.deepEqual([tf.memory().numTensors, handles()], [before[0], before[1] + 2]);
    const report = () => traceReports().find(({ name }) => name === 'casts')?.programs[0];
    assert.equal(report()?.compilations, 2);
    assert.equal(report()?.runs, 4);
    tf.tidy(() => weight.assign(normal([WIDTH], 9)));
    for (let seed = 6; seed < 9; seed++) await call(seed);
    assert.equal(report()?.compilations, 2);
    step.forget();
    assert.deepEqual([tf.memory().numTensors, handles()], before);
    await call(10);
    await call(11);
    step.forget();
    releaseTraced(owner);
    assert.deepEqual([tf.memory().numTensors, handles()], before);
    tf.dispose([weight, other]);
  });

  test('of a weight that is kept in bfloat16, too', async (context) => {
    if (!works) return context.skip('the tensorflow engine is not linked, or functions are not traced');
    const owner = {};
    const numbers = normal([WIDTH], 3);
    const storage = Bf16Storage.of(numbers);
    numbers.dispose();
    const compute = ([x]: readonly tf.Tensor[]) => tf.mul(x, rounded(storage.float32()));
    const step = new RepeatedStep(owner, 'casts of casts', compute);
    const before = handles();
    for (const seed of [1, 2, 3, 4]) {
      const x = normal([ROWS, WIDTH], seed);
      const [ours, expected] = [step.run([x]), await withoutTracing(() => tf.tidy(() => compute([x])))];
      assert.deepEqual(ours.dataSync(), expected.dataSync());
      tf.dispose([x, ours, expected]);
      assert.equal(handles() - before, seed === 1 ? 0 : 1);
    }
    step.forget();
    releaseTraced(owner);
    assert.equal(handles(), before);
    storage.dispose();
  });

  test('are shared by steps that have the weight in common, and go with the last', (context) => {
    if (!works) return context.skip('the tensorflow engine is not linked, or functions are not traced');
    const owner = {};
    const weight = tf.tidy(() => tf.variable(normal([WIDTH], 3)));
    const steps = [tf.add, tf.mul].map((join) => new RepeatedStep(owner, join.name, ([x]) => join(x, rounded(weight))));
    const x = normal([ROWS, WIDTH], 1);
    const run = () => steps.forEach((step) => step.run([x]).dispose());
    run();
    const before = handles();
    run();
    assert.equal(handles(), before + 1);
    steps[0].forget();
    assert.equal(handles(), before + 1);
    const [sum, product] = steps.map((step) => step.run([x]));
    const expected = tf.tidy(() => tf.mul(x, rounded(weight)));
    assert.deepEqual(product.dataSync(), expected.dataSync());
    tf.dispose([sum, product, expected]);
    steps.forEach((step) => step.forget());
    assert.equal(handles(), before);
    releaseTraced(owner);
    tf.dispose([x, weight]);
  });

  test('are those that round what stays the same, and that nobody keeps', () => {
    const [float, short] = [1, 14].map((dtype) => ({ id: 0, shape: [2], dtype }));
    const cast = (input: number, output = short) =>
      ({
        kind: 'operation',
        op: 'Cast',
        attributes: [],
        inputs: [input],
        outputs: [output],
        after: undefined,
      }) as const;
    const program: Program = {
      // Of two from outside; of a result; one that is kept; of one in bfloat16, to float32 and back.
      steps: [cast(-1), cast(-2), cast(0), cast(-1), cast(-3, float), cast(4 * 64)],
      captured: [float, float, short],
      results: [3 * 64],
    };
    assert.deepEqual(castsOf(program, new Set([0])), [0, 2, 5]);
    assert.deepEqual(castsOf(program, new Set([0, 1])), [0, 1, 2, 5]);
    assert.deepEqual(castsOf(program, new Set()), [5]);
  });
});
