/** What the kernel's three threads tell each other. */
import type { MessagePort } from 'node:worker_threads';
import type { Diagnostic } from 'tslab/dist/converter';
import type { MapOptions } from '../compiler/code-map';
import type { ChildPipes } from '../process/standard-output';
import type { ConnectionInfo, Header } from '../protocol/messages';

/** The sockets that carry messages to and from the main thread. */
export type ClientChannel = 'shell' | 'control' | 'stdin' | 'iopub';

export type Frames = readonly (string | Uint8Array)[];

/** What the thread that faces the clients starts with. */
export interface ClientThreadData {
  readonly connection: ConnectionInfo;
  /** To the language thread. */
  readonly language: MessagePort;
  readonly flags: Int32Array;
}

/** Places in the array of numbers that all threads share. */
export const flags = {
  /** 1 while a client debugs: V8 then stops before each cell, so that breakpoints can be set. */
  debugging: 0,
  /** Counts the language thread's answers to the main thread, which may sleep until the next one. */
  answers: 1,
  /** Counts what the main thread has asked the thread that faces the clients to tell when it comes to it. */
  marks: 2,
  /** 1 while a debugger has stopped the main thread's code, and clients know it. */
  stopped: 3,
} as const;

/** From the main thread to the thread that faces the clients. */
export type ToClientThread =
  | { readonly kind: 'send'; readonly channel: ClientChannel; readonly frames: Frames }
  /** The header of the request that is executed now; none between two of them. */
  | { readonly kind: 'executing'; readonly header?: Header }
  /** A port on which the watcher of signals tells of each one. */
  | { readonly kind: 'signals'; readonly port: MessagePort }
  /** File descriptors from which to read what children print. */
  | { readonly kind: 'children'; readonly pipes: ChildPipes }
  /** To be answered when everything that clients have sent by now was passed on. */
  | { readonly kind: 'echo' | 'mark' | 'close' };

export type FromClientThread =
  | { readonly kind: 'ready' | 'echo' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'frames'; readonly channel: ClientChannel; readonly frames: readonly Uint8Array[] };

/** A piece of code that runs, and where it came from. */
export interface CompiledCode {
  /** As stack traces and debuggers call it: `cell-3`, or the path of a local file. */
  readonly name: string;
  readonly options: MapOptions;
  /** The map from modern JavaScript to the source, as JSON. */
  readonly first?: string;
  /** Names the map from what runs to modern JavaScript, which is made when asked for; none where there is no such step. */
  readonly second?: number;
}

/** A local file that cells import, as CommonJS. */
export interface CompiledFile {
  /** Its path. */
  readonly file: string;
  readonly code: string;
  /** The modules that it loads before its first line, local files by their paths. */
  readonly imports: readonly string[];
  /** Whether it awaits at its top. */
  readonly awaits: boolean;
}

/** A compiled cell. */
export interface CompiledCell {
  /** Set where the cell is a module of its own, by `/** @module name *\/`. */
  readonly module?: string;
  readonly diagnostics: Diagnostic[];
  readonly output?: string;
  readonly hasToplevelAwait?: boolean;
  /** Local files that it leans on, as far as they are new or have changed. */
  readonly files: readonly CompiledFile[];
  readonly codes: readonly CompiledCode[];
  /** The variable that gets the value of the last expression. */
  readonly resultName?: string;
  /** Names that get a value while the cell runs. */
  readonly assigned: readonly string[];
  /** Modules that it loads before its first line, local files by their paths. */
  readonly imports: readonly string[];
}

/** What the language thread can be asked. */
export type LanguageQuestion =
  | { readonly type: 'compile'; readonly name: string; readonly code: string }
  /** About a place in code, in code points. */
  | { readonly type: 'complete' | 'inspect'; readonly code: string; readonly cursor_pos: number }
  | { readonly type: 'is_complete'; readonly code: string }
  /** The errors in code that is not going to run as a cell. */
  | { readonly type: 'check'; readonly code: string }
  /** The second map of a piece of code. */
  | { readonly type: 'map'; readonly map: number }
  /** The code of this name. */
  | { readonly type: 'code'; readonly name: string }
  /** Names of the code that the last cell loads from local files. */
  | { readonly type: 'local_files' }
  /** Types out of an expression. */
  | { readonly type: 'strip_types'; readonly code: string }
  /** Whether the code at a place (line and column from 0) is inside of a `try` that has a `catch`. */
  | { readonly type: 'is_guarded'; readonly code: string; readonly line: number; readonly column: number };

/** What the language thread is told. */
export type LanguageNote =
  | { readonly type: 'keep'; readonly missing: ReadonlySet<string> }
  /** A variable got a value by other means than a cell. */
  | { readonly type: 'declare'; readonly name: string }
  | { readonly type: 'warm_up' };

export interface LanguageAnswer {
  readonly id: number;
  readonly answer?: unknown;
  /** The message of what was thrown. */
  readonly error?: string;
}
