/**
 * TensorBoard's event files: records of length, checksum, a protobuf `Event`, checksum. Only what a run logs: scalars,
 * PNG images, Markdown texts.
 */
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import * as path from 'node:path';
import { appendWhole } from './write-file';

/** What is logged of a step, each under its tag. */
export interface Summary {
  readonly scalars?: Readonly<Record<string, number>>;
  readonly images?: Readonly<Record<string, EventImage>>;
  /** Markdown. */
  readonly texts?: Readonly<Record<string, string>>;
}

export interface EventImage {
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

/** One event file of a folder, written by one process. */
export class EventFile {
  private constructor(
    readonly file: string,
    private readonly handle: FileHandle,
  ) {}

  /**
   * @param end where a checkpoint saw the folder's file end: what was written later is cut off. Without it (or the file)
   *   a new file takes the place of all others.
   */
  static async open(folder: string, end?: number): Promise<EventFile> {
    const files = (await readdir(folder)).filter((name) => name.startsWith('events.out.tfevents.'));
    const last = files.sort().at(-1);
    if (end !== undefined && last !== undefined && (await stat(path.join(folder, last))).size >= end) {
      const file = path.join(folder, last);
      const handle = await open(file, 'a');
      await handle.truncate(end);
      return new EventFile(file, handle);
    }
    for (const name of files) await rm(path.join(folder, name));
    const file = path.join(folder, `events.out.tfevents.${Math.floor(Date.now() / 1000)}.${hostname()}`);
    const events = new EventFile(file, await open(file, 'a'));
    await events.write((event) => event.writeString(3, 'brain.Event:2'));
    return events;
  }

  /** Appends one event. NaN and infinities are written as they are. */
  async append(step: number, { scalars = {}, images = {}, texts = {} }: Summary): Promise<void> {
    await this.write((event) => {
      event.writeInt64(2, step);
      message(event, 5, (summary) => {
        for (const [tag, value] of Object.entries(scalars)) {
          message(summary, 1, (entry) => {
            entry.writeString(1, tag);
            entry.writeFloat(2, value);
          });
        }
        for (const [tag, image] of Object.entries(images))
          message(summary, 1, (entry) => writeImage(entry, tag, image));
        for (const [tag, text] of Object.entries(texts)) message(summary, 1, (entry) => writeText(entry, tag, text));
      });
    });
  }

  /** Waits until all of it is on the disk. @returns where the file ends */
  async flush(): Promise<number> {
    await this.handle.datasync();
    return (await this.handle.stat()).size;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.handle.close();
  }

  private async write(fill: (event: Writer) => void): Promise<void> {
    const event = new (protobuf().BinaryWriter)();
    event.writeDouble(1, Date.now() / 1000);
    fill(event);
    await appendWhole(this.handle, record(event.getResultBuffer()));
  }
}

/** The part of google-protobuf's writer that is used; the package brings no types. */
interface Writer {
  writeDouble(field: number, value: number): void;
  writeFloat(field: number, value: number): void;
  writeInt64(field: number, value: number): void;
  writeString(field: number, value: string): void;
  writeBytes(field: number, value: Uint8Array): void;
  writeMessage(field: number, value: object, write: (value: object, inner: Writer) => void): void;
  getResultBuffer(): Uint8Array;
}

/** Loaded when the first run is written: it is not needed to start. */
function protobuf(): { BinaryWriter: new () => Writer } {
  return require('google-protobuf') as { BinaryWriter: new () => Writer };
}

function message(outer: Writer, field: number, fill: (inner: Writer) => void): void {
  outer.writeMessage(field, {}, (_, inner) => fill(inner));
}

function writeImage(entry: Writer, tag: string, { width, height, png }: EventImage): void {
  entry.writeString(1, tag);
  message(entry, 4, (image) => {
    image.writeInt64(1, height);
    image.writeInt64(2, width);
    image.writeInt64(3, 3); // RGB
    image.writeBytes(4, png);
  });
}

const DT_STRING = 7;
const DATA_CLASS_TENSOR = 2;

function writeText(entry: Writer, tag: string, text: string): void {
  entry.writeString(1, tag);
  message(entry, 8, (tensor) => {
    tensor.writeInt64(1, DT_STRING);
    message(tensor, 2, () => undefined); // a scalar: no dimensions
    tensor.writeBytes(8, Buffer.from(text));
  });
  message(entry, 9, (metadata) => {
    message(metadata, 1, (plugin) => plugin.writeString(1, 'text'));
    metadata.writeInt64(4, DATA_CLASS_TENSOR);
  });
}

/** TFRecord: uint64 length, masked CRC-32C of it, data, masked CRC-32C of them; little-endian. */
function record(data: Uint8Array): Uint8Array {
  const out = Buffer.alloc(data.length + 16);
  out.writeBigUInt64LE(BigInt(data.length), 0);
  out.writeUInt32LE(maskedChecksum(out.subarray(0, 8)), 8);
  out.set(data, 12);
  out.writeUInt32LE(maskedChecksum(data), 12 + data.length);
  return out;
}

function maskedChecksum(data: Uint8Array): number {
  const { buf } = require('crc-32/crc32c') as typeof import('crc-32');
  const checksum = buf(data) >>> 0;
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}
