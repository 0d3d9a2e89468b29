/**
 * Muon (Jordan et al. 2024): the momentum of a matrix is made orthogonal before it is taken as a step, so that directions
 * with small gradients move as far as those with large ones. Everything that is no matrix of a block (tables, heads,
 * norms) is AdamW's. Scaled as by Liu et al. 2025 ("Muon is scalable"), eq. 4: a step has AdamW's usual size, so that
 * one learning rate and one weight decay serve both.
 */
import * as tf from '@tensorflow/tfjs';
import { releaseTraced } from '../functions';
import { AdamW, type AdamWOptions } from './adamw';

export interface MuonOptions extends AdamWOptions {
  /** Which variables are stepped orthogonally, by name; only matrices are asked for. The rest is AdamW's. */
  readonly orthogonal: (name: string) => boolean;
  /** Decay of the momentum; the step looks one gradient ahead (Nesterov). Default 0.95. */
  readonly momentum?: number;
  /** What the learning rate is multiplied by for orthogonal steps. Default 1: entries move by 0.2 x the rate, as AdamW's do. */
  readonly stepScale?: number;
}

/** Coefficients of the quintic that drives singular values towards 1 (Jordan et al. 2024), and how often it is applied. */
const QUINTIC = [3.4445, -4.775, 2.0315] as const;
const ITERATIONS = 5;

/** Root mean square of AdamW's usual steps, in units of the learning rate (Liu et al. 2025). */
const ADAMW_RMS = 0.2;

/**
 * The nearest orthogonal matrix, about: the same singular vectors, every singular value between 0.7 and 1.2.
 * @param matrices `[count, rows, columns]`
 */
export function orthogonalized(matrices: tf.Tensor3D): tf.Tensor3D {
  return tf.tidy(() => {
    const [, rows, columns] = matrices.shape;
    const tall = rows > columns;
    let x = tall ? tf.transpose<tf.Tensor3D>(matrices, [0, 2, 1]) : matrices;
    x = tf.div(x, tf.add(tf.sqrt(tf.sum(tf.square(x), [1, 2], true)), 1e-7));
    const [a, b, c] = QUINTIC;
    for (let i = 0; i < ITERATIONS; i++) {
      const given = x;
      x = tf.tidy(() => {
        const gram = tf.matMul<tf.Tensor3D>(given, given, false, true);
        const mix = tf.add(tf.mul(gram, b), tf.mul(tf.matMul(gram, gram), c));
        return tf.add(tf.mul(given, a), tf.matMul(mix, given));
      });
    }
    return tall ? tf.transpose<tf.Tensor3D>(x, [0, 2, 1]) : x;
  });
}

/** The optimizer; it keeps one momentum for each matrix and two moments for each other variable it has seen. */
export class Muon {
  private readonly adamw: AdamW;
  private readonly momenta = new Map<string, tf.Tensor2D>();
  private readonly options: Required<Pick<MuonOptions, 'momentum' | 'stepScale' | 'weightDecay' | 'orthogonal'>>;
  private readonly learningRate: number;

  constructor({ orthogonal, momentum = 0.95, stepScale = 1, ...rest }: MuonOptions) {
    if (!(momentum >= 0 && momentum < 1)) throw new RangeError(`Muon: momentum must be in [0, 1), got ${momentum}`);
    this.adamw = new AdamW(rest);
    this.learningRate = rest.learningRate;
    this.options = { orthogonal, momentum, stepScale, weightDecay: rest.weightDecay ?? 0.01 };
  }

  /** Steps taken so far. */
  get step(): number {
    return this.adamw.step;
  }

  /**
   * One step; see {@link AdamW.apply}.
   * @throws RangeError for a gradient without a variable, of another shape, or a learning rate that is not finite
   */
  apply(
    variables: Record<string, tf.Variable>,
    grads: Record<string, tf.Tensor>,
    learningRate = this.learningRate,
  ): void {
    const isMatrix = (name: string) => grads[name].rank === 2 && this.options.orthogonal(name);
    const matrices = Object.keys(grads).filter(isMatrix);
    const others = Object.fromEntries(Object.entries(grads).filter(([name]) => !isMatrix(name)));
    for (const name of matrices)
      if (!variables[name] || !tf.util.arraysEqual(variables[name].shape, grads[name].shape))
        throw new RangeError(`Muon: the gradient '${name}' is [${grads[name].shape}], which no variable is`);
    this.adamw.apply(variables, others, learningRate);
    const byShape = new Map<string, string[]>();
    for (const name of matrices) {
      const shape = grads[name].shape.join();
      byShape.set(shape, [...(byShape.get(shape) ?? []), name]);
    }
    for (const names of byShape.values()) this.turn(names, variables, grads, learningRate);
  }

  /** See {@link AdamW.state}; and `momentum.NAME` for each matrix. @returns new tensors, the caller's to dispose */
  state(): Record<string, tf.Tensor> {
    const momenta = [...this.momenta].map(([name, tensor]) => [`momentum.${name}`, tf.clone(tensor)] as const);
    return { ...this.adamw.state(), ...Object.fromEntries(momenta) };
  }

  /** Goes on from a saved {@link state}. The given tensors are copied, not kept. @throws RangeError see {@link AdamW.load} */
  load(state: Record<string, tf.Tensor>): void {
    const entries = Object.entries(state);
    const isMomentum = ([key]: readonly [string, unknown]) => key.startsWith('momentum.');
    this.dispose();
    this.adamw.load(Object.fromEntries(entries.filter((entry) => !isMomentum(entry))));
    for (const [key, tensor] of entries.filter(isMomentum))
      this.momenta.set(key.slice('momentum.'.length), tf.keep(tf.clone(tensor as tf.Tensor2D)));
  }

  /** Frees what it keeps, and the traced functions that it owns, and starts over at step 0. */
  dispose(): void {
    releaseTraced(this);
    this.adamw.dispose();
    for (const tensor of this.momenta.values()) tensor.dispose();
    this.momenta.clear();
  }

  /** Steps matrices of one shape, all at once. */
  private turn(
    names: readonly string[],
    variables: Record<string, tf.Variable>,
    grads: Record<string, tf.Tensor>,
    learningRate: number,
  ): void {
    const { momentum, stepScale, weightDecay } = this.options;
    const rate = learningRate * stepScale;
    tf.tidy(() => {
      const ahead = names.map((name) => {
        const before = this.momenta.get(name);
        const grad = grads[name] as tf.Tensor2D;
        const now = tf.keep(before ? tf.add<tf.Tensor2D>(tf.mul(before, momentum), grad) : tf.clone(grad));
        before?.dispose();
        this.momenta.set(name, now);
        return tf.add<tf.Tensor2D>(tf.mul(now, momentum), grad);
      });
      const [rows, columns] = ahead[0].shape;
      const size = rate * ADAMW_RMS * Math.sqrt(Math.max(rows, columns));
      const steps = tf.unstack(tf.mul(orthogonalized(tf.stack(ahead) as tf.Tensor3D), size));
      names.forEach((name, i) => {
        const variable = variables[name];
        variable.assign(tf.sub(tf.mul(variable, 1 - rate * weightDecay), steps[i]));
      });
    });
  }
}
