/** The error of what cannot be traced, and the place in the author's code that it names. */

/** Something was done in a traced function that cannot be recorded. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/** Where in the author's code this was asked for, from the stack. */
export function sourceLine(): string {
  const stack = new Error().stack?.split('\n').slice(1) ?? [];
  const line = stack.find(
    (frame) => !/node_modules|node:internal|tfjs-core|tfjs-node|src[\\/]engine[\\/]functions/.test(frame),
  );
  const place = /\(?([^()\s]+:\d+):\d+\)?$/.exec(line ?? '')?.[1];
  return place ? ` (${place})` : '';
}
