/** Which parameters learn and which stand still, by name; and still ones that take half the memory. */
import { tf } from '../engine';
import { Bf16Storage } from '../engine/bf16-storage';
import { withGradient } from '../engine/ops/custom';
import type { SafetensorsReader } from '../io';
import { type NameRules, type ParameterSpecs, Parameters, readEach } from './parameters';

/**
 * A pattern for names: text that must be the whole name, where `*` stands for anything (`language_model.*`), or a
 * regular expression that is looked for anywhere in it.
 */
export type NamePattern = string | RegExp;

/** Whether a name fits a pattern. */
export function fitsPattern(pattern: NamePattern, name: string): boolean {
  if (pattern instanceof RegExp) return name.search(pattern) >= 0;
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(name);
}

export interface TrainableOptions {
  /** Only what fits one of these learns. Default: all. ULM-R1 trains the language model only: `['language_model.*']`. */
  readonly only?: readonly NamePattern[];
  /** What fits one of these stands still, even if `only` names it. Default: nothing. */
  readonly frozen?: readonly NamePattern[];
}

/**
 * The variables that learn, for a supervised task's or a policy's `variables`; the others stay as they are, bit for bit.
 * @throws RangeError for a pattern that fits no name (a slip of the pen would train or freeze the wrong parts), and when
 *   nothing is left to learn
 */
export function trainableVariables(
  variables: Readonly<Record<string, tf.Variable>>,
  { only, frozen = [] }: TrainableOptions,
): Record<string, tf.Variable> {
  const names = Object.keys(variables);
  for (const pattern of [...(only ?? []), ...frozen]) {
    if (!names.some((name) => fitsPattern(pattern, name)))
      throw new RangeError(`no parameter fits the pattern ${String(pattern)}; there are ${someOf(names)}`);
  }
  const some = (patterns: readonly NamePattern[], name: string) => patterns.some((pattern) => fitsPattern(pattern, name)); // prettier-ignore
  const learning = names.filter((name) => (!only || some(only, name)) && !some(frozen, name));
  if (learning.length === 0) throw new RangeError('all parameters are frozen: there is nothing to train');
  return Object.fromEntries(learning.map((name) => [name, variables[name]]));
}

/** Some names, for errors. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

/**
 * Frozen parameters, stored as bfloat16: half the memory of float32, the same numbers to its rounding (8 bits). What a
 * forward pass needs is given out as float32 and goes with its tidy. Nothing learns; for the reference of a policy, or
 * as the base under LoRA adapters.
 */
export class Bf16Parameters extends Parameters {
  private constructor(
    specs: ParameterSpecs,
    private readonly stored: ReadonlyMap<string, Bf16Storage>,
  ) {
    super(specs, {});
  }

  /** A frozen copy. The original stays as it is, and the caller's to dispose. */
  static copy(parameters: Parameters): Bf16Parameters {
    const stored = new Map<string, Bf16Storage>();
    for (const [name, { tiedTo }] of Object.entries(parameters.specs)) {
      if (tiedTo !== undefined) continue;
      const values = tf.tidy(() => tf.clone(parameters.get(name)));
      stored.set(name, Bf16Storage.of(values));
      values.dispose();
    }
    return new Bf16Parameters(parameters.specs, stored);
  }

  /**
   * Reads an opened checkpoint straight into bfloat16: one parameter at a time stands there as float32.
   * @throws CheckpointMismatchError as {@link Parameters.read}
   */
  static async readFrozen(
    specs: ParameterSpecs,
    reader: SafetensorsReader,
    where: string,
    rules: NameRules = {},
  ): Promise<Bf16Parameters> {
    const stored = new Map<string, Bf16Storage>();
    try {
      await readEach(specs, reader, where, rules, (name, tensor) => stored.set(name, Bf16Storage.of(tensor)));
    } catch (error) {
      for (const storage of stored.values()) storage.dispose();
      throw error;
    }
    return new Bf16Parameters(specs, stored);
  }

  /** Bytes of all numbers, two each. */
  get bytes(): number {
    return [...this.stored.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A new float32 tensor; disposed by the caller or its tidy. */
  override get(name: string): tf.Tensor {
    return this.storage(name).float32();
  }

  override linear(name: string, x: tf.Tensor): tf.Tensor {
    const weight = this.storage(`${name}.weight`);
    const [outputs, inputs] = weight.shape;
    if (weight.shape.length !== 2 || x.shape[x.rank - 1] !== inputs) {
      throw new RangeError(`${name}: x [${x.shape}] does not fit the weight [${weight.shape}], read as [out, in]`);
    }
    return tf.tidy(() => {
      const flat = tf.reshape<tf.Rank.R2>(x, [-1, inputs]);
      const full = () => weight.float32() as tf.Tensor2D;
      // The gradient asks for the weight again: as float32 it would stand there until then.
      const product = withGradient([flat], () => ({
        value: tf.tidy(() => tf.matMul(flat, full(), false, true)),
        gradient: (dy) => tf.tidy(() => tf.matMul(dy as tf.Tensor2D, full())),
      }));
      const sum = this.has(`${name}.bias`) ? tf.add(product, this.get(`${name}.bias`)) : product;
      return tf.reshape(sum, [...x.shape.slice(0, -1), outputs]);
    });
  }

  override embedding(name: string, ids: tf.Tensor): tf.Tensor {
    return this.storage(`${name}.weight`).rows(ids);
  }

  /** @throws Error always: what is frozen does not change */
  override assign(): void {
    throw new Error(
      'these parameters are frozen in bfloat16: assign to the ones they were copied from, and copy again',
    );
  }

  override dispose(): void {
    for (const storage of this.stored.values()) storage.dispose();
  }

  private storage(name: string): Bf16Storage {
    const storage = this.stored.get(this.ownName(name));
    if (!storage) throw new Error(`this model has no parameter '${name}'`);
    return storage;
  }
}
