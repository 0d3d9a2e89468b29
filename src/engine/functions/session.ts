/**
 * One call of a traced function. Its JavaScript runs once, between tf.js and TensorFlow: either for real, and what it
 * asks for is recorded; or with nothing computed, every operation answered by a stand-in of the recorded shape, and
 * compared with the record. Where the two part, what was recorded so far is computed, the stand-ins become tensors, and
 * the call goes on for real: JavaScript never notices, and nothing is done twice.
 */
import type { Attribute, Backend, Binding, Metadata, Methods, TensorData, Values } from './binding';
import type { Asked, Plan } from './plan';
import {
  type Captured,
  capturedIndex,
  capturedRef,
  type Operation,
  outputRef,
  type Program,
  type Ref,
  STAND_INS,
  type Step,
  stepOf,
} from './program';
import { hooked } from './hook';
import { isLarge, whyNotKept } from './shape-numbers';
import { sourceLine, TraceError } from './trace-error';

interface Given {
  readonly id: number;
  readonly values: Values;
  /** JavaScript has disposed it. */
  deleted: boolean;
}

export class Session {
  private readonly real: Binding;
  private readonly steps: Step[] = [];
  readonly captured: number[] = [];
  private readonly described: Captured[] = [];
  private readonly refs = new Map<number, Ref>();
  readonly uploads = new Map<number, Given>();
  /** Stand-ins that tf.js holds. */
  private readonly standIns = new Map<number, TensorData>();
  /** Outputs that are alive, by ref. */
  private readonly alive = new Set<Ref>();
  /** Deletions that wait, with the number of steps before them. */
  private readonly deletions: { at: number; id: number }[] = [];
  /** Numbers that JavaScript made in this call. */
  private readonly ownNumbers = new WeakSet<object>();
  /** Of stand-ins, once computed. */
  private readonly computed = new Map<number, number>();
  /** What the operations of a recomputation wait for, and the step at which it began. */
  private readonly waits: { ref: Ref; from: number }[] = [];
  private candidates: Plan[];
  /** Why the last candidate was left. */
  reason: string | undefined;
  /** Why this call's program cannot be kept. */
  private unkept: string | undefined;

  constructor(
    private readonly backend: Backend,
    plans: readonly Plan[],
  ) {
    this.real = backend.binding;
    this.candidates = [...plans];
  }

  /** Whether stand-ins answer. */
  private get follows(): boolean {
    return this.candidates.length > 0;
  }

  /** Runs `work` with this session between tf.js and TensorFlow. */
  within<R>(work: () => R): R {
    const methods: Methods = {
      createTensor: (shape, dtype, values) => this.createTensor(shape, dtype, values),
      deleteTensor: (id) => this.deleteTensor(id),
      tensorDataSync: (id) => this.read(id),
      executeOp: (op, attributes, ids, outputs) => this.execute(op, attributes, ids, outputs),
    };
    const noted = (id: number, data: TensorData): void => void (id >= STAND_INS && this.standIns.set(id, data));
    return hooked(this.backend, methods, { made: (values) => this.ownNumbers.add(values), noted }, work);
  }

  /** Runs `work` for real and unrecorded; it must not read what this call computes. */
  outside<R>(work: () => R): R {
    const { backend, real } = this;
    const between = backend.binding;
    const executeOp: Methods['executeOp'] = (op, attributes, ids, count) => {
      for (const id of ids) this.checkOutside(id);
      return real.executeOp(op, attributes, ids, count);
    };
    backend.binding = Object.create(real, { executeOp: { value: executeOp } }) as Binding;
    try {
      return work();
    } finally {
      backend.binding = between;
    }
  }

  /** Operations of `work` that read nothing of its own wait for a tensor: what is recomputed is not computed early. */
  after<R>(id: number, work: () => R): R {
    const ref = this.refOf(id);
    this.waits.push({ ref, from: this.steps.length });
    try {
      return work();
    } finally {
      this.waits.pop();
    }
  }

  /**
   * Ends the call: runs the plan that was followed to its end.
   * @returns the plan; or the program of a call that ran for real, when it can be kept; or why it cannot, and whether
   *   TensorFlow refused it
   */
  finish(): { plan: Plan } | { program: Program } | { unkept: string; refused?: boolean } {
    if (this.follows) {
      this.keepCandidates((plan) => plan.end(this.steps.length, this.alive));
      if (this.candidates.length > 0) return this.runPlan(this.candidates[0]);
    }
    if (this.unkept !== undefined) return { unkept: this.unkept };
    return { program: { steps: this.steps, captured: this.described, results: [...this.alive].sort((a, b) => a - b) } };
  }

  /** After an error in the traced function: what its JavaScript still holds is computed. */
  abandon(): void {
    if (!this.follows) return;
    try {
      this.compute();
    } catch {
      // The first error is the one to be told.
    }
  }

  private runPlan(plan: Plan): { plan: Plan } | { unkept: string; refused: boolean } {
    const refused = plan.prepare(this.real, this.uploads);
    if (refused !== undefined) {
      this.compute();
      return { unkept: refused, refused: true };
    }
    let results: { ref: Ref; id: number }[];
    try {
      results = plan.run(this.backend, this.captured, this.uploads);
    } catch (error) {
      // TensorFlow refused: operation by operation it says where.
      this.compute();
      throw error;
    }
    for (const { ref, id } of results) {
      const data = this.standIns.get(STAND_INS + ref);
      if (this.alive.has(ref) && data) data.id = id;
      else this.real.deleteTensor(id);
    }
    for (const { id } of this.deletions) if (id < STAND_INS) this.real.deleteTensor(id);
    return { plan };
  }

  private createTensor(shape: readonly number[], dtype: number, values: Values): number {
    // tf.js uploads at the first use: what was made before this call comes from outside, as it will be again.
    if (!this.ownNumbers.has(values)) return this.real.createTensor(shape, dtype, values);
    const at = this.steps.length;
    if (this.follows) this.keepCandidates((plan) => plan.upload(at, shape, dtype, values));
    const id = this.real.createTensor(shape, dtype, values);
    const step: Step = { kind: 'upload', shape: [...shape], dtype, values: undefined };
    // Whoever filled the array may use it again; a large one is remembered only where it turns out to decide a shape.
    const kept = isLarge(step) ? values : values.slice();
    step.values = kept;
    this.steps.push(step);
    this.refs.set(id, outputRef(at, 0));
    this.uploads.set(at, { id, values: kept, deleted: false });
    return id;
  }

  private execute(op: string, attributes: readonly Attribute[], ids: readonly number[], count: number): Metadata[] {
    const inputs = ids.map((id) => this.refOf(id));
    const at = this.steps.length;
    const asked: Asked = { op, attributes, inputs, after: this.waitOf(inputs) };
    if (this.follows) {
      this.keepCandidates((plan) => plan.operation(at, asked));
      if (this.follows) {
        const outputs = this.candidates[0].standIns(at);
        this.note(asked, outputs);
        return outputs;
      }
    }
    this.unkept ??= whyNotKept(op);
    const outputs = this.real.executeOp(
      op,
      attributes,
      ids.map((id) => this.computed.get(id) ?? id),
      count,
    );
    outputs.forEach(({ id }, o) => this.refs.set(id, outputRef(at, o)));
    // tf.js keeps the shape that it is given, and may change it.
    this.note(
      asked,
      outputs.map(({ id, shape, dtype }) => ({ id, shape: shape.slice(), dtype })),
    );
    return outputs;
  }

  private note(asked: Asked, outputs: readonly Metadata[]): void {
    const at = this.steps.length;
    this.steps.push({ kind: 'operation', ...asked, outputs });
    outputs.forEach((_, o) => this.alive.add(outputRef(at, o)));
  }

  private waitOf(inputs: readonly Ref[]): Ref | undefined {
    const wait = this.waits.at(-1);
    if (!wait) return undefined;
    const ownInput = inputs.some((ref) => {
      if (ref < 0) return false;
      const step = stepOf(ref);
      return step >= wait.from && this.steps[step].kind === 'operation';
    });
    return ownInput ? undefined : wait.ref;
  }

  private refOf(id: number): Ref {
    if (id >= STAND_INS) return id - STAND_INS;
    const known = this.refs.get(id);
    if (known !== undefined) return known;
    const described = this.real.describeTensor(id);
    const index = this.captured.push(id) - 1;
    this.described.push(described);
    const ref = capturedRef(index);
    this.refs.set(id, ref);
    if (this.follows) this.keepCandidates((plan) => plan.captured(index, described));
    return ref;
  }

  private deleteTensor(id: number): void {
    const ref = id >= STAND_INS ? id - STAND_INS : this.refs.get(id);
    const given = ref !== undefined && ref >= 0 ? this.uploads.get(stepOf(ref)) : undefined;
    if (ref !== undefined && ref >= 0 && !given) this.alive.delete(ref);
    if (given) given.deleted = true;
    if (this.follows) this.deletions.push({ at: this.steps.length, id });
    else this.real.deleteTensor(this.computed.get(id) ?? id);
    if (!this.follows && id < STAND_INS) this.refs.delete(id);
  }

  private read(id: number): Values {
    this.checkOutside(id);
    return this.real.tensorDataSync(id);
  }

  /** @throws TraceError for what this call computes */
  private checkOutside(id: number): void {
    const ref = id >= STAND_INS ? id - STAND_INS : this.refs.get(id);
    if (ref !== undefined && ref >= 0 && !this.uploads.has(stepOf(ref)))
      throw new TraceError(
        `the value of a tensor is read in a traced function that computes it${sourceLine()}: return the tensor and read it outside`,
      );
  }

  /** Leaves the candidates that do not fit; without any, computes what was only rehearsed. */
  private keepCandidates(misfit: (plan: Plan) => string | undefined): void {
    const left = this.candidates.filter((plan) => {
      const why = misfit(plan);
      this.reason = why ?? this.reason;
      return why === undefined;
    });
    if (left.length === 0) this.compute();
    this.candidates = left;
  }

  /** Runs all steps so far, one by one, and puts the results where stand-ins are. */
  private compute(): void {
    const waiting = this.deletions.splice(0);
    this.candidates = [];
    try {
      this.steps.forEach((step, at) => {
        while (waiting.length > 0 && waiting[0].at <= at) this.remove((waiting.shift() as { id: number }).id);
        if (step.kind === 'operation') this.computeStep(step, at);
      });
    } finally {
      waiting.forEach(({ id }) => this.remove(id));
      // What could not be computed is nothing: tf.js may dispose it, and not read it.
      for (const [id, data] of this.standIns) if (this.alive.has(id - STAND_INS)) data.id = this.computed.get(id) ?? -1;
    }
  }

  /** Deletes what is there: a stand-in that was not computed is not. */
  private remove(id: number): void {
    const now = id < STAND_INS ? id : this.computed.get(id);
    if (now !== undefined) this.real.deleteTensor(now);
    if (id < STAND_INS) this.refs.delete(id);
  }

  private computeStep(step: Operation, at: number): void {
    const idOf = (ref: Ref): number => {
      if (ref < 0) return this.captured[capturedIndex(ref)];
      const given = this.uploads.get(stepOf(ref));
      return given ? given.id : (this.computed.get(STAND_INS + ref) as number);
    };
    const outputs = this.real.executeOp(step.op, step.attributes, step.inputs.map(idOf), step.outputs.length);
    outputs.forEach(({ id }, o) => {
      this.computed.set(STAND_INS + outputRef(at, o), id);
      this.refs.set(id, outputRef(at, o));
    });
  }
}
