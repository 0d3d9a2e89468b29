/** What a long command says of the functions that the engine compiles. */
import { onTrace } from '../engine';

/**
 * From now on each compiled function is a line on stderr: its name, its operations, the time that it took.
 * @returns what ends it
 */
export function sayCompilations(): () => void {
  return onTrace(({ name, operations, inputs, seconds }) => {
    console.error(`unilab: compiled '${name}': ${operations} operations, ${inputs} inputs, ${seconds.toFixed(2)} s`);
  });
}
