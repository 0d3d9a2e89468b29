/**
 * Traced functions: a function of tensors is recorded once for each program that it runs, and from then on runs as one
 * TensorFlow function. Its values are those of the single operations, to the bit.
 */
import * as tf from '@tensorflow/tfjs';
import { type Backend, functionBackend } from './binding';
import { Plan } from './plan';
import { Session } from './session';
import { TraceError } from './trace-error';

export interface TraceOptions {
  /** Programs that are kept; the one that was not used for longest goes. Default 8. */
  readonly keep?: number;
}

/** What is known of one kept program. */
export interface TracedProgram {
  readonly operations: number;
  readonly inputs: number;
  readonly results: number;
  /** Times that it was compiled: at its second call, and again when a number turns out to vary. */
  readonly compilations: number;
  /** Seconds of all compilations, each with the run behind it, in which TensorFlow optimizes; 0 before its second call. */
  readonly seconds: number;
  /** Calls that ran as a function. */
  readonly runs: number;
}

export interface TraceReport {
  readonly name: string;
  readonly programs: readonly TracedProgram[];
  readonly calls: number;
  /** Calls that ran operation by operation: the first of each program, and those that cannot be kept. */
  readonly eager: number;
  /** Why the last of them did, where a program was there. */
  readonly reason: string | undefined;
}

/** A program was compiled: for the log. */
export interface TraceEvent extends TracedProgram {
  readonly name: string;
}

export interface Traced<A extends unknown[], R> {
  (...args: A): R;
  /** Forgets all programs; the function may be called again. */
  dispose(): void;
  report(): TraceReport;
}

/** All traced functions that hold a program. */
const holders = new Set<{ report(): TraceReport }>();
const listeners = new Set<(event: TraceEvent) => void>();
let session: Session | undefined;
let switchedOff = 0;

/** What every traced function holds now. */
export function traceReports(): TraceReport[] {
  return [...holders].map((holder) => holder.report());
}

/** Calls `listener` after each compilation. @returns what ends it */
export function onTrace(listener: (event: TraceEvent) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Whether functions are traced: on the tensorflow engine, unless `UNILAB_TRACE=0`. */
export function tracingWorks(): boolean {
  return switchedOff === 0 && process.env.UNILAB_TRACE !== '0' && functionBackend() !== undefined;
}

/** Runs `work` with traced functions as plain ones: for profiles and comparisons. */
export async function withoutTracing<R>(work: () => R | Promise<R>): Promise<R> {
  switchedOff++;
  try {
    return await work();
  } finally {
    switchedOff--;
  }
}

/**
 * In a traced function, what `work` computes anew waits for a tensor; elsewhere `work` just runs. Gradient
 * checkpointing needs it: what is recomputed must be neither merged with the first computation nor run beside it.
 */
export function recomputedAfter<R>(tensor: tf.Tensor, work: () => R): R {
  const backend = session && functionBackend();
  if (!session || !backend) return work();
  return session.after(backend.getInputTensorIds([tensor])[0], work);
}

/**
 * In a traced function, runs `work` for real and unrecorded, at every call: for numbers that are needed at once and
 * depend on nothing that the function computes (an image as codes). Elsewhere `work` just runs.
 * @throws TraceError when it reads what the function computes
 */
export function outsideTrace<R>(work: () => R): R {
  return session ? session.outside(work) : work();
}

/**
 * Makes a function of tensors a traced one. At each call its JavaScript runs and is compared with what was recorded, so
 * that it may branch, assign variables and read what it likes; another branch or shape is recorded in its turn, and
 * other numbers become inputs. On engines other than `tensorflow`, and inside of another traced function, it is `fn`.
 * @param name for the log and for errors, e.g. `replay`
 * @param fn synchronous, run in a tidy; what it returns, keeps or assigns is its result. It reads no value of a tensor
 *   that it computed.
 * @throws TraceError, at a call, when `fn` reads a computed value, is asynchronous, or runs an operation whose shape
 *   depends on values; whatever `fn` throws
 */
export function traced<A extends unknown[], R extends tf.TensorContainer>(
  name: string,
  fn: (...args: A) => R,
  options: TraceOptions = {},
): Traced<A, R> {
  const programs = new Programs(name, options);
  const call = (...args: A): R => programs.run(() => fn(...args));
  return Object.assign(call, { dispose: () => programs.dispose(), report: () => programs.report() });
}

const owned = new WeakMap<object, Map<string, Programs>>();
/** Whose owner was forgotten without {@link releaseTraced}: its functions go, too. */
const forgotten = new FinalizationRegistry<Map<string, Programs>>((programs) => {
  for (const each of programs.values()) each.dispose();
});

/**
 * Runs `fn` as {@link traced} does, with the programs that `owner` keeps under `name`: for work that closes over what
 * changes from call to call.
 * @param owner what the programs live and go with: a model, an optimizer ({@link releaseTraced})
 */
export function runTraced<R extends tf.TensorContainer>(owner: object, name: string, fn: () => R): R {
  return programsOf(owner, name).run(fn);
}

/** Whether a traced function may begin here: there is tracing, and none is under way. */
export function mayTrace(): boolean {
  return !session && tracingWorks();
}

/** The programs that `owner` keeps under `name`. */
export function programsOf(owner: object, name: string): Programs {
  let programs = owned.get(owner);
  if (!programs) {
    programs = new Map();
    owned.set(owner, programs);
    forgotten.register(owner, programs, owner);
  }
  let found = programs.get(name);
  if (!found) {
    found = new Programs(name, {});
    programs.set(name, found);
  }
  return found;
}

/** Forgets all programs of an owner: part of its `dispose`. */
export function releaseTraced(owner: object): void {
  for (const programs of owned.get(owner)?.values() ?? []) programs.dispose();
  owned.delete(owner);
  forgotten.unregister(owner);
}

export class Programs {
  /** The one used last comes first. */
  private plans: Plan[] = [];
  private calls = 0;
  private eager = 0;
  private reason: string | undefined;
  /** TensorFlow refused a program: the function runs operation by operation from then on. */
  private refused = false;

  constructor(
    private readonly name: string,
    private readonly options: TraceOptions,
  ) {}

  /** @param ran is told of the plan that a call ran, if it did */
  run<R extends tf.TensorContainer>(fn: () => R, ran?: (plan: Plan, session: Session) => void): R {
    const backend = session || this.refused || !tracingWorks() ? undefined : functionBackend();
    if (!backend) return tf.tidy(fn);
    this.calls++;
    const own = new Session(backend, this.plans);
    session = own;
    try {
      const result = own.within(() => tf.tidy(fn));
      if (result instanceof Promise) throw new TraceError(`'${this.name}' is asynchronous: it cannot be traced`);
      const plan = this.learn(own, backend);
      if (plan) ran?.(plan, own);
      return result;
    } catch (error) {
      own.abandon();
      throw error;
    } finally {
      session = undefined;
    }
  }

  dispose(): void {
    const backend = functionBackend();
    for (const plan of this.plans) if (backend) plan.remove(backend.binding);
    this.plans = [];
    holders.delete(this);
  }

  report(): TraceReport {
    const { name, calls, eager, reason } = this;
    return { name, calls, eager, reason, programs: this.plans.map(describe) };
  }

  /** A call that needed no rehearsal. */
  count(): void {
    this.calls++;
  }

  private learn(own: Session, { binding }: Backend): Plan | undefined {
    const done = own.finish();
    if ('plan' in done) {
      const { plan } = done;
      this.plans = [plan, ...this.plans.filter((other) => other !== plan)];
      const { compilations } = plan.counts;
      if (compilations > plan.told) listeners.forEach((listener) => listener({ name: this.name, ...describe(plan) }));
      plan.told = compilations;
      return plan;
    }
    this.eager++;
    this.reason = 'unkept' in done ? done.unkept : own.reason;
    if ('unkept' in done) {
      this.refused = done.refused ?? false;
      return undefined;
    }
    this.plans.unshift(new Plan(this.name, done.program, binding.TF_INT32));
    holders.add(this);
    for (const plan of this.plans.splice(this.options.keep ?? 8)) plan.remove(binding);
    return undefined;
  }
}

function describe(plan: Plan): TracedProgram {
  const { operations, inputs, counts } = plan;
  return { operations, inputs, results: plan.program.results.length, ...counts };
}
