/** MurmurHash2 of 32 bits, by Austin Appleby: Jupyter's clients name a cell by the hash of its source. */

const multiplier = 0x5bd1e995;

/** @returns the hash of the text's UTF-8 bytes, from 0 to 2^32 - 1 */
export function murmur2(text: string, seed: number): number {
  const data = Buffer.from(text);
  const whole = data.length - (data.length % 4);
  let hash = (seed ^ data.length) | 0;
  for (let at = 0; at < whole; at += 4) {
    let block = Math.imul(data.readInt32LE(at), multiplier);
    block ^= block >>> 24;
    hash = Math.imul(hash, multiplier) ^ Math.imul(block, multiplier);
  }
  const rest = data.subarray(whole);
  for (const [at, byte] of rest.entries()) hash ^= byte << (8 * at);
  if (rest.length > 0) hash = Math.imul(hash, multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return (hash ^ (hash >>> 15)) >>> 0;
}
