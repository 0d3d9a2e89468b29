/** AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), numbers as PyTorch's. */
import * as tf from '@tensorflow/tfjs';
import { releaseTraced } from '../functions';
import { type Moments, newMoments } from './moments';

export interface AdamWOptions {
  /** Step size; {@link AdamW.apply} can override it at each step. */
  readonly learningRate: number;
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Default 0.01; each step first multiplies a weight by `1 - learningRate * weightDecay`. */
  readonly weightDecay?: number;
  /** Which variables decay, by name. Default: all. */
  readonly decay?: (name: string) => boolean;
  /** A variable's learning rate, by its name and the step's rate. Default: the step's for all. */
  readonly rate?: (name: string, learningRate: number) => number;
}

/** The optimizer; it keeps two moments for each variable it has seen. */
export class AdamW {
  private readonly options: Required<AdamWOptions>;
  private readonly moments = new Map<string, Moments>();
  private steps = 0;

  constructor(options: AdamWOptions) {
    this.options = {
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0.01,
      decay: () => true,
      rate: (_name, learningRate) => learningRate,
      ...options,
    };
    for (const key of ['beta1', 'beta2'] as const) {
      const value = this.options[key];
      if (!(value >= 0 && value < 1)) throw new RangeError(`AdamW: ${key} must be in [0, 1), got ${value}`);
    }
  }

  /** Steps taken so far. */
  get step(): number {
    return this.steps;
  }

  /**
   * One step.
   * @param variables by name; changed in place (`assign`)
   * @param grads by the same names; neither changed nor disposed. A variable without a gradient stays as it is.
   * @param learningRate for this step; default the constructor's
   * @throws RangeError for a gradient without a variable, of another shape, or a learning rate that is not finite
   */
  apply(
    variables: Record<string, tf.Variable>,
    grads: Record<string, tf.Tensor>,
    learningRate = this.options.learningRate,
  ): void {
    if (!Number.isFinite(learningRate)) throw new RangeError(`AdamW: the learning rate is ${learningRate}`);
    for (const [name, grad] of Object.entries(grads)) {
      const variable = variables[name];
      if (!variable) throw new RangeError(`AdamW: there is a gradient '${name}', but no such variable`);
      if (!tf.util.arraysEqual(variable.shape, grad.shape)) {
        throw new RangeError(`AdamW: '${name}' is [${variable.shape}], its gradient [${grad.shape}]`);
      }
    }
    this.steps++;
    const { beta1, beta2, epsilon, weightDecay, decay } = this.options;
    const correction2 = Math.sqrt(1 - beta2 ** this.steps);
    const tensors = new Map<string, tf.Tensor1D>();
    try {
      for (const [name, grad] of Object.entries(grads)) {
        const rate = this.options.rate(name, learningRate);
        const rule = { beta1, beta2, learningRate: rate, epsilon, steps: this.steps, correction2, tensors };
        const keep = decay(name) ? 1 - rate * weightDecay : 1;
        this.momentsOf(name, grad.shape).update(variables[name], grad, keep, rule);
      }
    } finally {
      tf.dispose([...tensors.values()]);
    }
  }

  /**
   * The optimizer's memory, to be saved: `step` (int32 scalar), `m.NAME` and `v.NAME` for each variable.
   * @returns new tensors, the caller's to dispose
   */
  state(): Record<string, tf.Tensor> {
    const out: Record<string, tf.Tensor> = { step: tf.scalar(this.steps, 'int32') };
    for (const [name, moments] of this.moments) {
      const [m, v] = moments.read();
      out[`m.${name}`] = m;
      out[`v.${name}`] = v;
    }
    return out;
  }

  /**
   * Goes on from a saved {@link state}. The given tensors are copied, not kept.
   * @throws RangeError when `step` or one of a variable's two moments is missing; then nothing was changed
   */
  load(state: Record<string, tf.Tensor>): void {
    const names = Object.keys(state).filter((key) => key.startsWith('m.'));
    const { step } = state;
    if (!step) throw new RangeError("AdamW: the saved state has no 'step'");
    for (const key of Object.keys(state)) {
      const twin = key.startsWith('m.') ? `v.${key.slice(2)}` : key.startsWith('v.') ? `m.${key.slice(2)}` : key;
      if (!state[twin]) throw new RangeError(`AdamW: the saved state has '${key}', but no '${twin}'`);
    }
    this.dispose();
    this.steps = step.dataSync()[0];
    for (const key of names) {
      const name = key.slice(2);
      this.momentsOf(name, state[key].shape).write(state[key], state[`v.${name}`]);
    }
  }

  /** Frees the moments, and the traced functions that it owns, and starts over at step 0. */
  dispose(): void {
    releaseTraced(this);
    for (const moments of this.moments.values()) moments.dispose();
    this.moments.clear();
    this.steps = 0;
  }

  private momentsOf(name: string, shape: number[]): Moments {
    let moments = this.moments.get(name);
    if (!moments) {
      moments = newMoments(shape);
      this.moments.set(name, moments);
    }
    return moments;
  }
}
