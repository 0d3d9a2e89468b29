/** A process that is to be killed in the middle of a save: `FILE SHARD_BYTES`. Says `half` when part of it is written. */
import { writeSafetensors } from '../../src/io/safetensors';

const [file, shardBytes] = process.argv.slice(2);
const values = (seed: number): Float32Array => new Float32Array(4096).fill(seed);

void writeSafetensors(
  file,
  {
    a: { dtype: 'F32', shape: [4096], data: values(7) },
    b: { dtype: 'F32', shape: [4096], data: values(8) },
    c: {
      dtype: 'F32',
      shape: [4096],
      data: () => {
        console.log('half');
        return new Promise((resolve) => setTimeout(() => resolve(values(9)), 600_000));
      },
    },
  },
  shardBytes === '0' ? {} : { shardBytes: Number(shardBytes) },
);
