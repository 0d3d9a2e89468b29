/**
 * Tokens after the vocabulary that a frozen model learns (concept tokens, Yo'LLaVA and UniCTokens): rows behind an
 * embedding table and behind an output layer, whatever the model around them. Masks, samplers and replay see ids.
 *
 * ```ts
 * const taught = withExtraTokens(model, { embeddings: model.embed_tokens, head: model.lm_head }, 24);
 * const rows = ParamStore.added(taught, (name, { shape }) => firstValues(name, shape));
 * const bound = taught.with(rows);                  // rows.variables is what learns
 * const other = taught.with(rows.clone());          // another subject's rows, or a frozen reference's
 * ```
 */
import { tf } from '../engine';
import { Embedding, Linear } from './layers';
import { copyOf, mapTree, type Module } from './module';

/** Ids from the table's size on are rows of a second table, named `extra.weight` below the first. */
export class ExtendedEmbedding extends Embedding {
  readonly extra: Embedding;

  constructor(base: Embedding, count: number) {
    const [size, width] = base.weight.shape;
    super(size, width, base.config.std);
    Object.assign(this, copyOf(base)); // the base's own parameters, with their numbers
    this.extra = new Embedding(count, width, base.config.std);
  }

  override forward(ids: tf.Tensor2D): tf.Tensor3D {
    return tf.tidy(() => {
      const size = tf.scalar(this.weight.shape[0], 'int32');
      const isExtra = tf.cast(tf.greaterEqual(ids, size), 'int32');
      // Two look-ups instead of one in a concatenated table: that of a real checkpoint is half a gigabyte.
      const base = super.forward(tf.mul<tf.Tensor2D>(ids, tf.sub(tf.scalar(1, 'int32'), isExtra)));
      const extra = this.extra.forward(tf.mul<tf.Tensor2D>(tf.sub(ids, size), isExtra));
      const pick = tf.expandDims(tf.cast(isExtra, 'float32'), -1);
      return tf.add<tf.Tensor3D>(tf.mul(base, tf.sub(1, pick)), tf.mul(extra, pick));
    });
  }
}

/** What a layer that was extended has besides. */
interface WithExtra {
  readonly extra: Linear;
}

/** Whether a layer has further outputs behind its own. */
export function isExtended(layer: Linear): layer is Linear & WithExtra {
  return 'extra' in layer;
}

/**
 * A layer with further outputs behind its own, those of a second layer, named `extra.weight` (and `extra.bias`) below it.
 * It is of the first layer's class, whatever that is: one with an adapter goes on computing with it.
 */
function extendedLinear(base: Linear, count: number): Linear & WithExtra {
  const Base = base.constructor as typeof Linear;
  class ExtendedLinear extends Base {
    declare readonly extra: Linear;

    override forward<X extends tf.Tensor>(x: X): X {
      return tf.tidy(() => tf.concat<X>([super.forward(x), this.extra.forward(x)], -1));
    }
  }
  const extra = new Linear(base.weight.shape[1], count, base.config);
  return Object.assign(Object.create(ExtendedLinear.prototype) as ExtendedLinear, base, { extra });
}

/**
 * A network whose vocabulary goes on for `count` ids.
 * @param layers of this very network: its table of tokens and the layer that gives their logits
 * @throws RangeError for a count that is no positive integer, or a layer that is not in the network
 */
export function withExtraTokens<M extends Module>(
  net: M,
  { embeddings, head }: { readonly embeddings: Embedding; readonly head: Linear },
  count: number,
): M {
  if (!Number.isInteger(count) || count < 1)
    throw new RangeError(`extra tokens: the count must be a positive integer, got ${count}`);
  const found = new Set<object>();
  const changed = mapTree(net, (node) => {
    if (node !== embeddings && node !== head) return node;
    found.add(node);
    return node === embeddings ? new ExtendedEmbedding(embeddings, count) : extendedLinear(head, count);
  });
  if (found.size !== 2) throw new RangeError('extra tokens: the layers are not of this network');
  return changed;
}
