/**
 * How compiled functions are run. TensorFlow's graph optimizer (grappler) does nothing to them, so that they compute what
 * single operations do, to the bit; or mixed precision, which rounds more than the project's own casts: logits, too. And
 * their operations are handed to threads as they become ready, or run in turn.
 */
import type { Attribute } from './binding';

/** `RewriterConfig.Toggle` */
const ON = 1;
/** Fields of `RewriterConfig`: `min_graph_nodes` (-1: small graphs, too) and the switch of mixed precision on CPUs. */
const [MIN_GRAPH_NODES, MIXED_BFLOAT16] = [17, 31];
/** `ConfigProto.graph_options`, and in it `GraphOptions.rewrite_options`. */
const NESTED = 10;

let bytes: Uint8Array | undefined;

/** From now on compiled functions are rewritten, or are not. Those that were compiled before stay as they are. */
export function useMixedPrecision(on: boolean): void {
  bytes = on ? configuration() : undefined;
}

/**
 * Attributes of a call of a function.
 * @param stringType the binding's number for strings
 * @param inTurn its operations run one after the other, where it is called: for many that are small, whose handing over
 *   from thread to thread costs what is gained by two at once
 */
export function callAttributes(stringType: number, inTurn: boolean): readonly Attribute[] {
  const given: Attribute[] = bytes ? [{ name: 'config_proto', type: stringType, value: bytes }] : [];
  if (inTurn) given.push({ name: 'executor_type', type: stringType, value: 'SINGLE_THREADED_EXECUTOR' });
  return given;
}

/** A serialized `ConfigProto`. */
function configuration(): Uint8Array {
  const options = [...number(MIN_GRAPH_NODES, -1n), ...number(MIXED_BFLOAT16, BigInt(ON))];
  return Uint8Array.from(message(NESTED, message(NESTED, options)));
}

const number = (field: number, value: bigint): number[] => [...varint(BigInt(field << 3)), ...varint(value)];

const message = (field: number, content: readonly number[]): number[] => [
  ...varint(BigInt((field << 3) | 2)),
  ...varint(BigInt(content.length)),
  ...content,
];

/** Seven bits a byte, the lowest first; negative numbers as 64 bits. */
function varint(value: bigint): number[] {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 128n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  return [...out, Number(rest)];
}
