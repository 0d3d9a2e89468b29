/**
 * A traced step that is repeated with other inputs and nothing else changed, such as a token of a decoding. To rehearse
 * its JavaScript takes as long as a small step itself, so it is left out once the step ran as a function.
 */
import * as tf from '@tensorflow/tfjs';
import { type Backend, functionBackend } from './binding';
import { castsOf, keepCasts, type KeptCasts } from './kept-casts';
import type { Plan } from './plan';
import { type Operation, outputOf, stepOf, type Upload } from './program';
import type { Session } from './session';
import { mayTrace, programsOf } from './traced';

/** What a call without JavaScript needs. */
interface Ready {
  readonly plan: Plan;
  readonly functionName: string;
  /** What runs: the plan, or the same program without the casts of weights. */
  readonly runs: Plan;
  /** Ids of the tensors from outside; those of the inputs stand at `slots`, -1 for one that is not used. */
  readonly captured: readonly number[];
  readonly slots: readonly number[];
  readonly shapes: readonly string[];
  /** Numbers of the function's own, uploaded once, by step. */
  readonly constants: ReadonlyMap<number, { readonly id: number }>;
  /** Weights as products need them. */
  readonly casts: KeptCasts | undefined;
  /** All that the function is given beside what is captured, in the order of its steps. */
  readonly given: ReadonlyMap<number, { readonly id: number }>;
  /** Weights that may be assigned, and the numbers that they had. */
  readonly weights: readonly { readonly variable: tf.Variable; readonly dataId: object }[];
}

export class RepeatedStep {
  private ready: Ready | undefined;

  /**
   * @param owner @param name see `runTraced`
   * @param fn a function of its inputs and of tensors that stay the same, but for numbers that its operations change in
   *   place; it changes nothing in JavaScript. Weights may be assigned between calls
   */
  constructor(
    private readonly owner: object,
    private readonly name: string,
    private readonly fn: (inputs: readonly tf.Tensor[]) => tf.Tensor,
  ) {}

  /** @returns the caller's to dispose, as the inputs are */
  run(inputs: readonly tf.Tensor[]): tf.Tensor {
    const programs = programsOf(this.owner, this.name);
    const backend = mayTrace() ? functionBackend() : undefined;
    if (backend && this.ready && fits(this.ready, inputs)) {
      programs.count();
      return runReady(this.ready, backend, inputs);
    }
    this.forget();
    return programs.run(
      () => this.fn(inputs),
      (plan, session) => (this.ready = backend && readyFrom(plan, session, backend, inputs)),
    );
  }

  /** Tensors that the function uses were replaced, or nothing follows: its JavaScript runs at the next call. */
  forget(): void {
    const binding = functionBackend()?.binding;
    for (const { id } of this.ready?.constants.values() ?? []) binding?.deleteTensor(id);
    this.ready?.casts?.release();
    this.ready = undefined;
  }
}

const shapeOf = ({ dtype, shape }: tf.Tensor): string => `${dtype} ${shape.join()}`;

function fits({ plan, functionName, shapes, weights }: Ready, inputs: readonly tf.Tensor[]): boolean {
  return (
    plan.functionName === functionName &&
    inputs.length === shapes.length &&
    inputs.every((input, i) => shapeOf(input) === shapes[i]) &&
    weights.every(({ variable, dataId }) => variable.dataId === dataId)
  );
}

/** Undefined where the step leaves more than its result: what is kept in it must be told to JavaScript. */
function readyFrom(plan: Plan, session: Session, backend: Backend, inputs: readonly tf.Tensor[]): Ready | undefined {
  const { functionName, program } = plan;
  if (functionName === undefined || program.results.length !== 1) return undefined;
  const { captured } = session;
  const ids = backend.getInputTensorIds(inputs);
  const used = new Set(captured);
  const weights = Object.values(tf.engine().registeredVariables).flatMap((variable) => {
    const id = backend.tensorMap.get(variable.dataId)?.id ?? -1;
    return used.has(id) ? [{ id, variable, dataId: variable.dataId }] : [];
  });
  const uploads = plan.inputSteps.map((at) => {
    const { shape, dtype } = program.steps[at] as Upload;
    const values = session.uploads.get(at)?.values;
    if (!values) throw new Error(`step ${at} of '${functionName}' was given no numbers`);
    return [at, { id: backend.binding.createTensor(shape, dtype, values) }] as const;
  });
  const constants = new Map(uploads);
  const rounds = castsOf(program, new Set(weights.map(({ id }) => captured.indexOf(id))));
  const lean = rounds.length > 0 ? plan.given(backend.binding, rounds) : undefined;
  const casts = lean && keepCasts(backend, program, rounds, captured);
  return {
    plan,
    functionName,
    runs: lean ?? plan,
    captured: [...captured],
    slots: ids.map((id) => captured.indexOf(id)),
    shapes: inputs.map(shapeOf),
    constants,
    casts,
    given: new Map([...constants, ...(casts?.ids ?? [])].sort(([a], [b]) => a - b)),
    weights,
  };
}

function runReady(
  { plan, runs, captured, slots, given }: Ready,
  backend: Backend,
  inputs: readonly tf.Tensor[],
): tf.Tensor {
  const ids = [...captured];
  backend.getInputTensorIds(inputs).forEach((id, i) => {
    if (slots[i] >= 0) ids[slots[i]] = id;
  });
  const [{ ref, id }] = runs.run(backend, ids, given, true);
  const { shape, dtype } = (plan.program.steps[stepOf(ref)] as Operation).outputs[outputOf(ref)];
  return backend.createOutputTensor({ id, shape: [...shape], dtype }) as tf.Tensor;
}
