/** Small sets in the layouts of published ones, made here, and ten ways in which each can be broken. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { type ItemError, collectItems, type Reading } from '../../src/data/items';

export const VARIANTS = [
  'missing image',
  'wrong field type',
  'truncated file',
  'duplicate id',
  'empty concept',
  'path traversal',
  'decompression bomb',
  'wrong encoding',
  'negative count',
  'mixed separators',
] as const;
export type Variant = (typeof VARIANTS)[number];

/** A change of a whole folder, what is said of it, and how many good items must be left. */
export interface Breakage {
  change(folder: string): void;
  readonly says: RegExp;
  readonly left: number;
}

export interface SmallSet {
  readonly name: string;
  readonly count: number;
  write(folder: string): void;
  read(folder: string): Reading<unknown>;
  readonly first: Readonly<Record<string, unknown>>;
  readonly broken: Readonly<Record<Variant, Breakage>>;
}

/** 2 x 2 pixels of gray, 8 bits. */
export const pngBytes = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAADklEQVQImWOIAgMGCAUAHZYEOUXWwlcAAAAASUVORK5CYII=',
  'base64',
);

/** A header that claims 60000 x 60000 pixels, in 33 bytes and an end. */
export const bombBytes = (() => {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crcOf(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(60_000, 0);
  header.writeUInt32BE(60_000, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    pngBytes.subarray(0, 8),
    chunk('IHDR', header),
    chunk('IDAT', Buffer.alloc(4)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
})();

function crcOf(bytes: Buffer): number {
  if (typeof crc32 === 'function') return crc32(bytes);
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

export function put(folder: string, name: string, content: string | Uint8Array): void {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
}

export const putJson = (folder: string, name: string, value: unknown) =>
  put(folder, name, JSON.stringify(value, null, 1));

/** Replaces a text in a file, byte for byte; in `latin1` one character is one byte. */
export function replaceIn(folder: string, name: string, from: string, to: string): void {
  const file = path.join(folder, name);
  const text = readFileSync(file, 'latin1');
  if (!text.includes(from)) throw new Error(`'${from}' is not in ${name}`);
  writeFileSync(
    file,
    Buffer.from(
      text.replace(from, () => to),
      'latin1',
    ),
  );
}

export function cut(folder: string, name: string, bytes: number): void {
  const file = path.join(folder, name);
  writeFileSync(file, readFileSync(file).subarray(0, -bytes));
}

export const scratchFolders: string[] = [];
export function scratch(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sets-'));
  scratchFolders.push(folder);
  return folder;
}

/** What a reading gives, in the end; an error of the whole set counts as one of an item. */
export async function readAll(read: () => Reading<unknown>): Promise<{ items: unknown[]; errors: string[] }> {
  try {
    const { items, errors } = await collectItems(read());
    return { items, errors: errors.map((error: ItemError) => error.message) };
  } catch (error) {
    if ((error as Error).name !== 'DataSetError') throw error;
    return { items: [], errors: [(error as Error).message] };
  }
}
