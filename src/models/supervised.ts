/** A supervised step in two halves: rows as tensors, made of examples; and the loss, a function of those tensors. */
import { tf } from '../engine';
import type { SupervisedExample } from './unified';

export type SupervisedKind = SupervisedExample['task'];

/** Of each kind that a batch has, its rows as tensors; and every kind's weight. */
export interface KindInputs<Inputs> {
  readonly tensors: Readonly<Partial<Record<SupervisedKind, Inputs>>>;
  readonly weights: Readonly<Partial<Record<SupervisedKind, number>>>;
}

/** Sum over the kinds of weight x loss. Weights are 1 where none is given. */
export function weightedLosses<Inputs>(
  tensors: KindInputs<Inputs>['tensors'],
  weights: KindInputs<Inputs>['weights'],
  lossOf: (inputs: Inputs) => tf.Scalar,
): tf.Scalar {
  return tf.tidy(() => {
    const kinds = Object.entries(tensors) as [SupervisedKind, Inputs][];
    return tf.addN<tf.Scalar>(kinds.map(([kind, inputs]) => tf.mul<tf.Scalar>(lossOf(inputs), weights[kind] ?? 1)));
  });
}

/** Without what is undefined. */
export function presentOnly<T extends object>(record: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const present = Object.entries(record).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]?: NonNullable<T[K]> };
}
