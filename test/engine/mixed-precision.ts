/** Prints a traced product of two matrices, its report of the engine, and the same product untraced. */
import { startEngine, tf, traced, withoutTracing } from '../../src/engine';

async function main(): Promise<void> {
  const report = await startEngine({ quiet: true });
  // A product that is itself bfloat16, and not only its inputs, has 512 and 516 and nothing between.
  const [a, b] = [tf.ones([512, 515]), tf.ones([515, 512])];
  const product = traced('product', () => tf.add(tf.matMul(tf.mul(a, 1), b), 0));
  let last = 0;
  for (let call = 0; call < 3; call++) last = product().dataSync()[0];
  const exact = await withoutTracing(() => product().dataSync()[0]);
  console.log(JSON.stringify({ last, exact, report, runs: product.report().programs[0]?.runs }));
  process.exit(0);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? `${error.name}: ${error.message}` : error);
  process.exit(1);
});
