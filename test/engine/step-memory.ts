/**
 * Prints the most memory that a step with gradients takes, in bytes above what was held before: with gradient
 * checkpointing and without it, operation by operation and traced.
 */
import { residentBytes } from '../../bench/resident';
import { releaseTraced, Rng, runTraced, startEngine, tf, withoutTracing } from '../../src/engine';
import { withCheckpointing } from '../../src/nn/checkpointing';
import { Llama, LlamaBlock } from '../../src/nn/llama';
import { ParamStore } from '../../src/nn/store';
import { tinyConfig } from '../models/chameleon/fixture';

const [ROWS, TOKENS, WIDTH, LAYERS] = [16, 96, 128, 6];

async function main(): Promise<void> {
  await startEngine({ precision: 'float32', quiet: true });
  const layers = new Llama({
    ...tinyConfig().text,
    hidden_size: WIDTH,
    intermediate_size: 2 * WIDTH,
    num_hidden_layers: LAYERS,
    head_dim: WIDTH / 4,
  });
  const store = ParamStore.random(layers, new Rng(1));
  const net = layers.with(store);
  const nets = { checkpointed: withCheckpointing(net, LlamaBlock), plain: net };
  const owner = {};
  const step = (name: keyof typeof nets, ids: tf.Tensor2D): void => {
    const { [name]: network } = nets;
    const loss = (): tf.Scalar => tf.mean(tf.square(network.forward(network.embed_tokens.forward(ids))));
    const made = runTraced(owner, name, () => tf.variableGrads(loss, Object.values(store.variables)));
    made.value.dataSync();
    tf.dispose(made);
  };
  // What the library loads and keeps for every kind of operation is there before anything is measured.
  const small = idsOf(1);
  for (let call = 0; call < 3; call++) for (const name of ['checkpointed', 'plain'] as const) step(name, small);
  const ids = idsOf(ROWS);
  const before = residentBytes().peak;
  const peaks: Record<string, number> = {};
  // Memory is not given back, so that each is measured in turn from the smallest on: a peak is the largest so far.
  for (const name of ['checkpointed', 'plain'] as const) {
    await withoutTracing(() => step(name, ids));
    peaks[`${name}, eager`] = residentBytes().peak - before;
    for (let call = 0; call < 3; call++) step(name, ids);
    peaks[`${name}, traced`] = residentBytes().peak - before;
  }
  releaseTraced(owner);
  console.log(JSON.stringify(peaks));
  process.exit(0);
}

const idsOf = (rows: number): tf.Tensor2D =>
  tf.tensor2d(new Int32Array(rows * TOKENS).fill(7), [rows, TOKENS], 'int32');

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
