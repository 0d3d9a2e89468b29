/**
 * Which uploaded numbers decide shapes. A number that does (the sizes of a slice, the axis of a sum) may not become an
 * input of a function: another value is another program. All others may.
 */
import { outputOf, type Program, stepOf, type Upload } from './program';
import { sourceLine, TraceError } from './trace-error';

/** Operations whose integer inputs are data wherever they stand. */
const ELEMENTWISE = new Set(
  (
    'Abs Add AddN AddV2 AssignVariableOp BitwiseAnd Cast Div Equal FloorDiv FloorMod GatherNd Greater GreaterEqual ' +
    'Identity Less LessEqual LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul Neg NotEqual OnesLike Pack Pow ' +
    'RealDiv Select SelectV2 Sign Square SquaredDifference Sub TensorScatterUpdate ZerosLike'
  ).split(' '),
);

/** Of other operations, the inputs that are data. What is not listed is taken for a shape. */
const DATA_INPUTS: Readonly<Record<string, readonly number[]>> = {
  All: [0],
  Any: [0],
  ArgMax: [0],
  BroadcastTo: [0],
  Cumsum: [0],
  ExpandDims: [0],
  Fill: [1],
  GatherV2: [0, 1],
  Max: [0],
  Mean: [0],
  Min: [0],
  OneHot: [0, 2, 3],
  PadV2: [0, 2],
  Prod: [0],
  Reshape: [0],
  ReverseV2: [0],
  ScatterNd: [0, 1],
  Slice: [0],
  SparseSoftmaxCrossEntropyWithLogits: [0, 1],
  StridedSlice: [0],
  Sum: [0],
  Tile: [0],
  Transpose: [0],
  UnsortedSegmentSum: [0, 1],
};

/** Operations whose shape follows from floating-point inputs, too. */
const SHAPED_BY_ANY = new Set(['LinSpace', 'Range']);

function decides(op: string, input: number, inputs: number, isInteger: boolean): boolean {
  if (SHAPED_BY_ANY.has(op)) return true;
  if (!isInteger || ELEMENTWISE.has(op) || op.startsWith('Unilab')) return false;
  if (op === 'ConcatV2') return input === inputs - 1;
  return !(DATA_INPUTS[op] ?? []).includes(input);
}

/**
 * The uploads of a program that decide shapes, by step.
 * @param integer the binding's number for int32
 */
export function shapeNumbers({ steps }: Pick<Program, 'steps'>, integer: number): ReadonlySet<number> {
  const found = new Set<number>();
  for (const step of steps) {
    if (step.kind === 'upload') continue;
    step.inputs.forEach((ref, i) => {
      if (ref < 0 || outputOf(ref) !== 0) return;
      const from = steps[stepOf(ref)];
      if (from.kind === 'upload' && decides(step.op, i, step.inputs.length, from.dtype === integer))
        found.add(stepOf(ref));
    });
  }
  return found;
}

/** Operations whose output's shape depends on the numbers of their inputs: no program with one can be kept. */
const SHAPE_FROM_VALUES: ReadonlySet<string> = new Set(
  'Where Unique UniqueV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 StringSplit StringNGrams SparseFillEmptyRows SparseReshape'.split(
    ' ',
  ),
);

/**
 * Operations that do something else when they run once more: random numbers go on instead of beginning anew, and a
 * variable that is made inside would be the same one every time. A program with one of them runs, but is not kept.
 */
const NOT_KEPT: ReadonlySet<string> = new Set(
  'RandomStandardNormal RandomUniform RandomUniformInt RandomGamma RandomPoisson TruncatedNormal Multinomial RandomShuffle VarHandleOp DestroyResourceOp'.split(
    ' ',
  ),
);

/** More numbers than this are an input from the start, unless they decide shapes. */
export const SMALL = 16;

/** Whether an upload is an input in any case. */
export const isLarge = ({ shape }: Upload): boolean => shape.reduce((a, b) => a * b, 1) > SMALL;

/**
 * Why a program with this operation is not kept; undefined when it is.
 * @throws TraceError for an operation whose shape depends on values
 */
export function whyNotKept(op: string): string | undefined {
  if (SHAPE_FROM_VALUES.has(op))
    throw new TraceError(
      `${op} gives a shape that depends on the numbers in it, which cannot be traced${sourceLine()}: compute it outside`,
    );
  return NOT_KEPT.has(op) ? `${op} runs in it` : undefined;
}
