/** A recorded program: what a function of tensors asked of TensorFlow, in order. */
import type { Attribute, Metadata, Values } from './binding';

/** Ids of stand-ins begin here; the binding's own count up from 0. */
export const STAND_INS = 2 ** 30;

/** Outputs that an operation may have, at most. */
const SLOTS = 64;

/**
 * Where an input of an operation comes from, as one number: from 0 on output `ref % 64` of step `ref / 64`; below, the
 * captured tensor `-1 - ref`.
 */
export type Ref = number;

export const outputRef = (step: number, output: number): Ref => step * SLOTS + output;
export const capturedRef = (index: number): Ref => -1 - index;
export const capturedIndex = (ref: Ref): number => -1 - ref;
export const stepOf = (ref: Ref): number => Math.floor(ref / SLOTS);
export const outputOf = (ref: Ref): number => ref % SLOTS;

/** Numbers that JavaScript gave. */
export interface Upload {
  readonly kind: 'upload';
  readonly shape: readonly number[];
  readonly dtype: number;
  /** Undefined where they are an input in any case and need not be remembered. */
  values: Values | undefined;
}

export interface Operation {
  readonly kind: 'operation';
  readonly op: string;
  readonly attributes: readonly Attribute[];
  readonly inputs: readonly Ref[];
  readonly outputs: readonly Metadata[];
  /** Must not run before this one: a recomputation waits for the gradient that needs it. */
  readonly after: Ref | undefined;
}

export type Step = Upload | Operation;

/** A tensor that was made outside. */
export interface Captured {
  readonly shape: readonly number[];
  readonly dtype: number;
}

export interface Program {
  readonly steps: readonly Step[];
  readonly captured: readonly Captured[];
  /** What is alive at the end, in the order in which it was made. */
  readonly results: readonly Ref[];
}

export function sameList(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

/** Whether two values of an attribute are the same. */
export function sameValue(a: Attribute['value'], b: Attribute['value']): boolean {
  return a === b || Object.is(a, b) || (Array.isArray(a) && Array.isArray(b) && sameList(a, b));
}
