/** A program that is kept: compared with what is asked for now, and run as one TensorFlow function. */
import type { Attribute, Backend, Binding, Metadata, Values } from './binding';
import { functionGraph } from './graph-def';
import { givenResults } from './kept-casts';
import {
  type Captured,
  type Operation,
  outputRef,
  type Program,
  type Ref,
  sameList,
  sameValue,
  STAND_INS,
  type Upload,
} from './program';
import { callAttributes } from './call-attributes';
import { isLarge, shapeNumbers } from './shape-numbers';

/** An operation that is asked for. */
export interface Asked {
  readonly op: string;
  readonly attributes: readonly Attribute[];
  readonly inputs: readonly Ref[];
  readonly after: Ref | undefined;
}

let made = 0;

export class Plan {
  /** Uploads that are inputs. */
  private readonly fed: Set<number>;
  private readonly decideShapes: ReadonlySet<number>;
  private readonly resultAt: ReadonlyMap<number, number>;
  private registered: string | undefined;
  /** The same program with more inputs. */
  private lean: { readonly key: string; readonly plan: Plan } | undefined;
  /** Times that it ran as a function. */
  runs = 0;
  /** Seconds that writing it, giving it to TensorFlow and its first run took: TensorFlow optimizes it then. */
  seconds = 0;
  /** Times that it was compiled: again when a number turns out to be an input. */
  compilations = 0;
  /** Compilations that listeners know of. */
  told = 0;
  /** It was compiled and has not run since. */
  private isNew = false;

  constructor(
    private readonly label: string,
    readonly program: Program,
    private readonly integer: number,
    fed: Iterable<number> = [],
  ) {
    this.decideShapes = shapeNumbers(program, integer);
    const large = program.steps.flatMap((step, i) => (step.kind === 'upload' && isLarge(step) ? [i] : []));
    this.fed = new Set([...fed, ...large.filter((i) => !this.decideShapes.has(i))]);
    for (const i of this.fed) (program.steps[i] as Upload).values = undefined;
    this.resultAt = new Map(program.results.map((ref, k) => [ref, k]));
  }

  /** The name that TensorFlow knows it by; another one once it was written anew. */
  get functionName(): string | undefined {
    return this.registered;
  }

  /** Uploads that are inputs, by step. */
  get inputSteps(): readonly number[] {
    return [...this.fed].sort((a, b) => a - b);
  }

  get length(): number {
    return this.program.steps.length;
  }

  get operations(): number {
    return this.program.steps.filter(({ kind }) => kind === 'operation').length;
  }

  /**
   * The same program with what some of its steps make as inputs; it is kept, and goes with this one.
   * @returns undefined where TensorFlow refuses it
   */
  given(binding: Binding, steps: readonly number[]): Plan | undefined {
    const key = [...this.inputSteps, '|', ...steps].join();
    if (this.lean?.key !== key) {
      this.lean?.plan.remove(binding);
      const program = givenResults(this.program, steps);
      this.lean = { key, plan: new Plan(this.label, program, this.integer, [...this.fed, ...steps]) };
    }
    const { plan } = this.lean;
    return plan.prepare(binding, new Map()) === undefined ? plan : undefined;
  }

  /** What is counted, with that of the same program with more inputs. */
  get counts(): { readonly runs: number; readonly seconds: number; readonly compilations: number } {
    const { runs, seconds, compilations } = this;
    const more = this.lean?.plan;
    if (!more) return { runs, seconds, compilations };
    return {
      runs: runs + more.runs,
      seconds: seconds + more.seconds,
      compilations: compilations + more.compilations,
    };
  }

  /** @returns why an upload does not fit; undefined when it does */
  upload(at: number, shape: readonly number[], dtype: number, values: Values): string | undefined {
    const step = this.program.steps.at(at);
    if (step?.kind !== 'upload') return `numbers came in place of ${step?.op ?? 'the end'}`;
    if (step.dtype !== dtype || !sameList(step.shape, shape))
      return `numbers of [${shape.join(', ')}] came in place of [${step.shape.join(', ')}]`;
    if (!this.decideShapes.has(at)) return undefined;
    return step.values && sameList(step.values, values) ? undefined : 'numbers that decide a shape have changed';
  }

  /** @returns why an operation does not fit; undefined when it does */
  operation(at: number, asked: Asked): string | undefined {
    const step = this.program.steps.at(at);
    if (step?.kind !== 'operation') return `${asked.op} came in place of ${step ? 'numbers' : 'the end'}`;
    if (step.op !== asked.op) return `${asked.op} came in place of ${step.op}`;
    if (!sameList(step.inputs, asked.inputs) || step.after !== asked.after) return `${step.op} reads other tensors`;
    const changed = asked.attributes.find(
      ({ name, value }, k) => step.attributes[k]?.name !== name || !sameValue(step.attributes[k].value, value),
    );
    if (changed || step.attributes.length !== asked.attributes.length)
      return `${step.op} has another '${changed?.name ?? 'attribute'}'`;
    return undefined;
  }

  /** @returns why a tensor from outside does not fit; undefined when it does */
  captured(index: number, { shape, dtype }: Captured): string | undefined {
    const before = this.program.captured.at(index);
    if (before?.dtype === dtype && sameList(before.shape, shape)) return undefined;
    return `a tensor from outside is [${shape.join(', ')}], not [${before?.shape.join(', ') ?? ''}]`;
  }

  /** The stand-ins of an operation's outputs. */
  standIns(at: number): Metadata[] {
    const { outputs } = this.program.steps[at] as Operation;
    return outputs.map(({ shape, dtype }, o) => ({ id: STAND_INS + outputRef(at, o), shape: shape.slice(), dtype }));
  }

  /** @returns why the end does not fit. @param alive refs of all that is alive */
  end(length: number, alive: ReadonlySet<Ref>): string | undefined {
    if (length !== this.length) return `it ended after ${length} steps, not ${this.length}`;
    for (const ref of alive) if (!this.resultAt.has(ref)) return 'it leaves other tensors';
    return undefined;
  }

  /**
   * Makes the function ready for a call.
   * @param uploads what was uploaded, by step: a number that is not the recorded one is an input from now on
   * @returns why TensorFlow refuses it; undefined when it can run
   */
  prepare(binding: Binding, uploads: ReadonlyMap<number, { values: Values }>): string | undefined {
    let grown = false;
    for (const [at, { values }] of uploads) {
      const before = (this.program.steps[at] as Upload).values;
      if (this.fed.has(at) || (before && sameList(before, values))) continue;
      this.fed.add(at);
      grown = true;
    }
    if (grown) this.remove(binding);
    try {
      this.registered ??= this.register(binding);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /**
   * Runs the function, which was prepared.
   * @param captured ids of the tensors from outside
   * @param uploads what was uploaded, by step
   * @param inTurn see `callAttributes`
   * @returns what the program leaves, in the order of `program.results`
   */
  run(
    { binding }: Backend,
    captured: readonly number[],
    uploads: ReadonlyMap<number, { id: number }>,
    inTurn = false,
  ): { ref: Ref; id: number }[] {
    if (this.registered === undefined) throw new Error('the function was not prepared');
    const given = [...uploads].filter(([at]) => this.fed.has(at)).map(([, { id }]) => id);
    const start = performance.now();
    const attributes = callAttributes(binding.TF_ATTR_STRING, inTurn);
    const ids = [...captured, ...given];
    const outputs = binding.executeOp(this.registered, attributes, ids, this.program.results.length);
    this.runs++;
    if (this.isNew) this.seconds += (performance.now() - start) / 1000;
    this.isNew = false;
    return this.program.results.map((ref, k) => ({ ref, id: outputs[k].id }));
  }

  remove(binding: Binding): void {
    if (this.registered !== undefined) binding.removeFunction(this.registered);
    this.registered = undefined;
    this.lean?.plan.remove(binding);
    this.lean = undefined;
  }

  private register(binding: Binding): string {
    const start = performance.now();
    const name = `unilab_${this.label.replace(/\W+/g, '_')}_${process.pid}_${made++}`;
    const { bytes, inputs, outputs, controls } = functionGraph(this.program, this.fed, binding);
    binding.registerFunction?.(name, bytes, inputs, outputs, controls);
    this.seconds += (performance.now() - start) / 1000;
    this.compilations++;
    this.isNew = true;
    return name;
  }

  /** Number of tensors from outside, for the log. */
  get inputs(): number {
    return this.program.captured.length + this.fed.size;
  }
}
