/** Drawing ids from logits where they are, so that nothing as large as they are is read. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';
import { float, hasOwnKernel, kernel } from './kernel';
import { tokenLogProbs } from './likelihood';

const OPERATION = 'UnilabDrawTokens';
const MIXTURE = 'UnilabMixture';

/** In place of a given id: one is to be drawn; the row is left out, and its numbers mean nothing. */
export const DRAWN = -1;
export const LEFT_OUT = -2;

/**
 * Draws an id from each row's softmax, of `s with - (s - 1) without` where there are logits of both.
 * @param logits `[n, classes]`, or `[2 n, classes]`: with a condition, then without it
 * @param given int32 `[n]`: {@link DRAWN}, {@link LEFT_OUT}, or the id whose log-probability is asked for
 * @param numbers float32 `[n]` in [0, 1), where the running sum of probabilities is to be met; or Gumbel noise
 *   `[n, classes]`, whose sum with the log-probabilities is largest where the id is drawn
 * @param scale s
 * @returns `[2, n]`: ids, then their log-probabilities. No gradient
 * @throws RangeError when shapes do not fit
 */
export function drawTokens(logits: tf.Tensor2D, given: tf.Tensor1D, numbers: tf.Tensor, scale: number): tf.Tensor2D {
  check(logits, given, numbers);
  if (numbers.rank === 2 || !hasOwnKernel(OPERATION)) return drawTokensPlain(logits, given, numbers, scale);
  return kernel(OPERATION, [float('scale', scale)], [logits, given, numbers]) as tf.Tensor2D;
}

/**
 * {@link drawTokens}, and the log-probabilities that are recorded.
 * @param records of the mixture that was drawn from, or of the logits with the condition alone
 * @returns `[2, n]`: ids, then log-probabilities; `[3, n]` where those that are recorded are others, which stand last
 */
export function drawRecorded(
  logits: tf.Tensor2D,
  given: tf.Tensor1D,
  numbers: tf.Tensor,
  scale: number,
  records: 'guided' | 'conditional',
): tf.Tensor2D {
  const n = given.size;
  return tf.tidy(() => {
    const drawn = drawTokens(logits, given, numbers, scale);
    if (records === 'guided' || logits.shape[0] === n) return drawn;
    const ids = tf.cast(tf.reshape<tf.Rank.R1>(tf.slice(drawn, [0, 0], [1, n]), [n]), 'int32');
    const conditional = tokenLogProbs(tf.slice(logits, [0, 0], [n, -1]), ids);
    return tf.concat([drawn, tf.reshape<tf.Rank.R2>(conditional, [1, n])], 0);
  });
}

/** {@link drawTokens} in plain tf.js operations. */
export function drawTokensPlain(
  logits: tf.Tensor2D,
  given: tf.Tensor1D,
  numbers: tf.Tensor,
  scale: number,
): tf.Tensor2D {
  check(logits, given, numbers);
  return tf.tidy(() => {
    const logProbs = tf.logSoftmax(mixtureOf(logits, given.size, scale), -1);
    const drawn = numbers.rank === 2 ? tf.argMax(tf.add(logProbs, numbers), 1) : metBy(tf.exp(logProbs), numbers);
    const ids = tf.where(tf.greaterEqual(given, 0), given, tf.cast(drawn, 'int32'));
    const [n, classes] = logProbs.shape;
    const places = tf.add<tf.Tensor1D>(tf.mul(tf.range(0, n, 1, 'int32'), tf.scalar(classes, 'int32')), ids);
    const chosen = tf.gather(tf.reshape(logProbs, [n * classes]), places);
    return tf.stack([tf.cast(ids, 'float32'), chosen]) as tf.Tensor2D;
  });
}

/** Logits that ids are drawn from, `[n, classes]`, of those that {@link drawTokens} takes. */
export function mixtureOf(logits: tf.Tensor2D, n: number, scale: number): tf.Tensor2D {
  if (logits.shape[0] === n) return logits;
  if (hasOwnKernel(MIXTURE) && logits.size > 0) {
    const scaled = () => [float('scale', scale)];
    return withGradient([logits], () => ({
      value: kernel(MIXTURE, scaled(), [logits]),
      gradient: (dy) => kernel(`${MIXTURE}Grad`, scaled(), [dy]),
    })) as tf.Tensor2D;
  }
  return mixturePlain(logits, n, scale);
}

/** {@link mixtureOf} two halves in plain tf.js operations. */
export function mixturePlain(logits: tf.Tensor2D, n: number, scale: number): tf.Tensor2D {
  const [conditional, dropped] = [tf.slice(logits, [0, 0], [n, -1]), tf.slice(logits, [n, 0], [n, -1])];
  return tf.sub(tf.mul(conditional, scale), tf.mul(dropped, scale - 1));
}

/** The first id at which the running sum passes a number's share of it. */
function metBy(probabilities: tf.Tensor2D, numbers: tf.Tensor): tf.Tensor {
  const [n, classes] = probabilities.shape;
  const sums = tf.cumsum(probabilities, 1);
  const all = tf.slice(sums, [0, classes - 1], [n, 1]);
  // A number just below 1 may have been rounded up to it.
  const share = tf.mul(tf.reshape(tf.minimum(numbers, 1 - 2 ** -24), [n, 1]), all);
  return tf.sum(tf.cast(tf.lessEqual(sums, share), 'int32'), 1);
}

function check(logits: tf.Tensor2D, given: tf.Tensor1D, numbers: tf.Tensor): void {
  const n = given.size;
  const [rows, classes] = logits.shape;
  const fits = (rows === n || rows === 2 * n) && [`${n}`, `${n},${classes}`].includes(numbers.shape.join());
  if (!fits)
    throw new RangeError(
      `drawTokens: logits [${logits.shape}], given ids [${given.shape}] and numbers [${numbers.shape}] do not fit; expected [n or 2 n, classes], [n] and [n] or [n, classes]`,
    );
}
