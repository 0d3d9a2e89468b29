/**
 * Rows of image codes that share what they have in common. A plain table treats 4,096 codes as 4,096 strangers, and what
 * is learned of a shape in one color says nothing about its codes in another; here a part of every row is a linear
 * function of the code's entry, which learns from all codes at once.
 */
import { tf } from '../engine';
import { Parameters } from '../nn/parameters';

/**
 * A model's parameters, some of whose tables are `table + features shared`: stands where the model's own stood while it
 * is trained. Saving gives the sums, under the model's own names.
 */
export class SharedRowParameters extends Parameters {
  private readonly shared: Readonly<Record<string, tf.Variable>>;

  /**
   * @param base disposed with this
   * @param tables names of tables `[rows, width]`
   * @param features `[rows, features]`, 0 for rows that share nothing; disposed with this
   */
  constructor(
    private readonly base: Parameters,
    tables: readonly string[],
    private readonly features: tf.Tensor2D,
  ) {
    const shared = Object.fromEntries(
      tables.map((name) => {
        const shape = [features.shape[1], base.specs[name].shape[1]];
        return [name, tf.tidy(() => tf.variable(tf.zeros(shape)))];
      }),
    );
    const named = Object.fromEntries(tables.map((name) => [`shared.${name}`, shared[name]]));
    super(base.specs, { ...base.variables, ...named });
    this.shared = shared;
  }

  override get(name: string): tf.Tensor {
    const own = this.base.get(name);
    const shared = (this.shared as Partial<typeof this.shared>)[name];
    return shared ? tf.add(own, tf.matMul(this.features, shared as tf.Tensor2D)) : own;
  }

  override dispose(): void {
    super.dispose();
    this.features.dispose();
  }
}
