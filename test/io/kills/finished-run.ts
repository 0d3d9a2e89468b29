/** What a run's folder must hold when it is finished, however often it was killed on the way. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** Everything that must be the same; moments and durations are left out. */
export interface FinishedRun {
  /** Of the newest checkpoint: sha256 of its weights and optimizer, and what the recipe remembered. */
  readonly weights: string;
  readonly state: unknown;
  /** Lines of metrics.jsonl. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** sha256 of every file of samples, and of weights that lie beside them. */
  readonly files: Readonly<Record<string, string>>;
  /** Steps of the event file, as often as they stand there. */
  readonly events: readonly number[];
}

const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** @throws AssertionError for a broken event file, one file of it too many, or anything that a killed process left */
export function finishedRun(folder: string): FinishedRun {
  const files = filesIn(folder);
  const hidden = files.filter((file) => file.split(path.sep).some((name) => name.startsWith('.')));
  assert.deepEqual(hidden, [], 'nothing is left aside');
  assert.equal(readFileSync(path.join(folder, 'lock'), 'utf8'), '', 'nobody holds the folder');
  const [newest] = readdirSync(path.join(folder, 'checkpoints')).sort().reverse();
  const at = (name: string) => path.join(folder, 'checkpoints', newest, name);
  const kept = files.filter((file) => file.startsWith('samples') || file === 'subject.safetensors');
  const { state } = JSON.parse(readFileSync(at('state.json'), 'utf8')) as { state: unknown };
  return {
    weights: sha256(at('model.safetensors')),
    state,
    lines: linesOf(path.join(folder, 'metrics.jsonl')),
    files: Object.fromEntries(kept.map((file) => [file, sha256(path.join(folder, file))])),
    events: eventSteps(folder, files),
  };
}

function linesOf(file: string): Record<string, unknown>[] {
  const isTime = (name: string) => name.startsWith('time/');
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => Object.fromEntries(Object.entries(JSON.parse(line) as object).filter(([name]) => !isTime(name))));
}

function filesIn(folder: string, inner = ''): string[] {
  return readdirSync(path.join(folder, inner))
    .sort()
    .flatMap((name) => {
      const file = path.join(inner, name);
      return statSync(path.join(folder, file)).isDirectory() ? filesIn(folder, file) : [file];
    });
}

/** Reads TFRecords by their checksums; the first record is the file's version. */
function eventSteps(folder: string, files: readonly string[]): number[] {
  const names = files.filter((file) => file.startsWith('events.out.tfevents.'));
  assert.equal(names.length, 1, `one event file: ${names}`);
  const bytes = readFileSync(path.join(folder, names[0]));
  const steps: number[] = [];
  for (let from = 0; from < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(from));
    const data = bytes.subarray(from + 12, from + 12 + length);
    assert.equal(bytes.readUInt32LE(from + 8), maskedChecksum(bytes.subarray(from, from + 8)), `record at ${from}`);
    assert.equal(bytes.readUInt32LE(from + 12 + length), maskedChecksum(data), `data of the record at ${from}`);
    if (from > 0) steps.push(stepOf(data));
    from += length + 16;
  }
  return steps;
}

/** Field 2 of an `Event`, behind the time (a tag and eight bytes), as a small varint. */
function stepOf(event: Buffer): number {
  assert.deepEqual([event[0], event[9]], [0x09, 0x10]);
  return event[10];
}

function maskedChecksum(data: Uint8Array): number {
  const { buf } = require('crc-32/crc32c') as typeof import('crc-32');
  const checksum = buf(data) >>> 0;
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}
