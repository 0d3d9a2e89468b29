/** What children of cells print, read in the thread that faces the clients, which never waits for them. */
import { readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { ChildPipes } from '../process/standard-output';

/** Most bytes that are read at once. */
const chunkSize = 1 << 16;

export class ChildOutput {
  private readonly readers: (() => void)[];

  /** @param publish called with each piece of text */
  constructor(pipes: ChildPipes, publish: (name: 'stdout' | 'stderr', text: string) => void) {
    this.readers = (['stdout', 'stderr'] as const).map((name) => {
      const decoder = new TextDecoder();
      const take = (bytes: Uint8Array): void => {
        const text = decoder.decode(bytes, { stream: true });
        if (text !== '') publish(name, text);
      };
      new Socket({ fd: pipes[name], readable: true, writable: false }).on('data', take).on('error', () => undefined);
      return () => readAll(pipes[name], take);
    });
  }

  /** Publishes everything that has been printed by now. */
  drain(): void {
    for (const read of this.readers) read();
  }
}

function readAll(pipe: number, take: (bytes: Uint8Array) => void): void {
  const chunk = Buffer.alloc(chunkSize);
  try {
    for (let length = readSync(pipe, chunk); length > 0; length = readSync(pipe, chunk))
      take(chunk.subarray(0, length));
  } catch {
    // nothing more for now
  }
}
