/** How fast the engine that runs multiplies matrices. */
import * as tf from '@tensorflow/tfjs';

/**
 * Measures square matrix products of the running engine.
 * @param size rows and columns; default 2048
 * @param repetitions at least this many products are timed, and at least half a second; default 5
 * @returns GFLOP/s by the median time
 */
export async function measureMatmul(size = 2048, repetitions = 5): Promise<number> {
  const a = tf.randomNormal([size, size], 0, 1, 'float32', 1);
  const b = tf.randomNormal([size, size], 0, 1, 'float32', 2);
  const once = async (): Promise<number> => {
    const start = performance.now();
    const corner = tf.tidy(() => tf.slice(tf.matMul(a, b), [0, 0], [1, 1]));
    await corner.data(); // an engine may compute only when a value is asked for
    corner.dispose();
    return performance.now() - start;
  };
  await once();
  const times: number[] = [];
  let total = 0;
  while (times.length < repetitions || (total < 500 && times.length < 200)) {
    const time = await once();
    times.push(time);
    total += time;
  }
  tf.dispose([a, b]);
  times.sort((x, y) => x - y);
  return (2 * size ** 3) / times[times.length >> 1] / 1e6;
}
