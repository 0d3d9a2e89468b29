/**
 * Weights as products in bfloat16 need them, in a program that is repeated: made once, and inputs of it from then
 * on. Otherwise each of its calls would round all weights anew.
 */
import { type Backend, BFLOAT16 } from './binding';
import { capturedIndex, type Operation, outputRef, type Program, type Ref, stepOf } from './program';

/** Numbers as products of few rows need them: rounded, and laid out. */
const LAID_OUT = 'UnilabPairs';

/**
 * The steps that round what was made outside and stays the same, as it is or after other casts.
 * @param same which tensors from outside do, beside those that are kept in bfloat16
 */
export function castsOf({ steps, captured, results }: Program, same: ReadonlySet<number>): number[] {
  const constant = new Set<Ref>();
  const isConstant = (ref: Ref): boolean =>
    ref < 0 ? same.has(capturedIndex(ref)) || captured[capturedIndex(ref)].dtype === BFLOAT16 : constant.has(ref);
  return steps.flatMap((step, at) => {
    if (step.kind === 'upload' || !['Cast', LAID_OUT].includes(step.op) || !isConstant(step.inputs[0])) return [];
    constant.add(outputRef(at, 0));
    const rounds = step.op === LAID_OUT || step.outputs[0].dtype === BFLOAT16;
    return rounds && !results.includes(outputRef(at, 0)) ? [at] : [];
  });
}

/** The program with what some of its steps make as numbers that it is given. */
export function givenResults(program: Program, at: readonly number[]): Program {
  const steps = [...program.steps];
  for (const i of at) {
    const [{ shape, dtype }] = (steps[i] as Operation).outputs;
    steps[i] = { kind: 'upload', shape, dtype, values: undefined };
  }
  return { ...program, steps };
}

/** What was made of tensors, for all steps that are repeated: two of them may have weights in common. */
const kept = new Map<string, { readonly id: number; uses: number }>();

/** What a step is given: numbers of weights as it needs them. */
export interface KeptCasts {
  /** By step of the program. */
  readonly ids: ReadonlyMap<number, { readonly id: number }>;
  /** Nothing needs them any more: each goes with its last user. */
  release(): void;
}

/**
 * Makes what some steps make, {@link castsOf} a program, unless it is there.
 * @param captured ids of the tensors from outside
 */
export function keepCasts(
  { binding }: Backend,
  { steps }: Program,
  at: readonly number[],
  captured: readonly number[],
): KeptCasts {
  /** What a step does to which tensor, all casts before it included. */
  const keyOf = (ref: Ref): string => {
    if (ref < 0) return String(captured[capturedIndex(ref)]);
    const { op, attributes, inputs } = steps[stepOf(ref)] as Operation;
    return `${op} ${attributes.map(({ value }) => String(value)).join()} (${keyOf(inputs[0])})`;
  };
  const compute = (step: number): number => {
    const { op, attributes, inputs } = steps[step] as Operation;
    const [from] = inputs;
    const id = from < 0 ? captured[capturedIndex(from)] : compute(stepOf(from));
    try {
      return binding.executeOp(op, attributes, [id], 1)[0].id;
    } finally {
      if (from >= 0) binding.deleteTensor(id);
    }
  };
  const used: string[] = [];
  const release = (): void => {
    for (const key of used.splice(0)) {
      const one = kept.get(key);
      if (!one || --one.uses > 0) continue;
      kept.delete(key);
      binding.deleteTensor(one.id);
    }
  };
  try {
    const ids = new Map<number, { readonly id: number }>();
    for (const step of at) {
      const key = keyOf(outputRef(step, 0));
      const one = kept.get(key) ?? { id: compute(step), uses: 0 };
      kept.set(key, one);
      one.uses++;
      used.push(key);
      ids.set(step, one);
    }
    return { ids, release };
  } catch (error) {
    release();
    throw error;
  }
}
