/**
 * Trains a tiny model (convolutions, embedding, attention, norms) for a few steps on the engine that the environment
 * names, and prints `{engine, losses, tensors}`: the numbers must not depend on the engine.
 */
import * as engine from '../../src/engine';
import { Rng, tf } from '../../src/engine';

async function main(): Promise<void> {
  const { engine: name } = await engine.startEngine({ precision: 'float32' });
  const rng = new Rng(3);
  const weight = (shape: number[], size: number) => {
    const values = rng.normal(tf.util.sizeFromShape(shape)).map((x) => x * size);
    return tf.tidy(() => tf.variable(tf.tensor(values, shape)));
  };
  const w: Record<string, tf.Variable> = {
    conv1: weight([3, 3, 3, 8], 0.2),
    conv2: weight([3, 3, 8, 8], 0.1),
    scale: weight([8], 1),
    offset: weight([8], 0.1),
    table: weight([11, 8], 0.5),
    qkv: weight([24, 8], 0.3),
    out: weight([8, 8], 0.3),
    gamma: weight([8], 1),
    beta: weight([8], 0.1),
    head: weight([11, 8], 0.3),
  };
  const images = tf.tensor4d(rng.normal(2 * 8 * 8 * 3), [2, 8, 8, 3]);
  const ids = tf.tensor2d([1, 4, 4, 9, 0, 10], [2, 3], 'int32');
  const labels = tf.tensor1d([4, 4, -100, 0, 10, 2], 'int32');
  const loss = (): tf.Scalar => {
    const conv = tf.conv2d(images, w.conv1 as tf.Tensor4D, 2, 'same');
    const norm = engine.groupNorm(conv, w.scale as tf.Tensor1D, w.offset as tf.Tensor1D, 4);
    const seen = tf.conv2d(engine.silu(norm) as tf.Tensor4D, w.conv2 as tf.Tensor4D, 1, 'same');
    const tokens = tf.concat([tf.reshape(seen, [2, 16, 8]), engine.embedding(w.table, ids)], 1);
    const h = engine.layerNorm(tokens, w.gamma as tf.Tensor1D, w.beta as tf.Tensor1D);
    const qkv = tf.transpose(tf.reshape(engine.linear(h, w.qkv), [2, 19, 3, 2, 4]), [2, 0, 3, 1, 4]);
    const [q, k, v] = tf.unstack(qkv);
    const mixed = tf.reshape(tf.transpose(engine.attention(q, k, v, null), [0, 2, 1, 3]), [2, 19, 8]);
    const y = engine.geluTanh(tf.add(tokens, engine.linear(mixed, w.out)));
    const last = tf.reshape(tf.slice(y, [0, 16, 0], [2, 3, 8]), [6, 8]);
    return engine.crossEntropy(engine.linear(last, w.head), labels);
  };
  const names = new Map(Object.entries(w).map(([key, variable]) => [variable.name, key]));
  const optimizer = new engine.AdamW({ learningRate: 0.02 });
  const losses: number[] = [];
  const tensors: number[] = [];
  for (let step = 0; step < 8; step++) {
    const { value, grads } = tf.variableGrads(loss);
    const named = Object.fromEntries(Object.entries(grads).map(([key, g]) => [names.get(key) ?? key, g]));
    const clipped = engine.clipByGlobalNorm(named, 1);
    optimizer.apply(w, clipped.grads);
    losses.push((await value.data())[0]);
    tf.dispose([value, named, clipped.norm, clipped.grads]);
    tensors.push(tf.memory().numTensors);
  }
  console.log(JSON.stringify({ engine: name, losses, tensors }));
  process.exit(0);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
