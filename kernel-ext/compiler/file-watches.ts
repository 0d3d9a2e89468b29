/** Notices edits of local files before each cell, so that they count from the next cell on, without a race. */
import { statSync } from 'node:fs';
import type * as TypeScript from 'typescript';
import { isPackageCode } from './package-paths';
import { ts } from './typescript';

interface Watch {
  readonly callback: TypeScript.FileWatcherCallback;
  modified: number;
}

/** When a file was last modified; 0 where there is none. */
function modifiedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

export class FileWatches {
  private readonly watches = new Map<string, Watch>();

  /** Stands in for `ts.sys.watchFile`. */
  watch(file: string, callback: TypeScript.FileWatcherCallback): TypeScript.FileWatcher {
    this.watches.set(file, { callback, modified: modifiedAt(file) });
    return { close: () => this.watches.delete(file) };
  }

  /** Tells TypeScript about local files if one of them has changed. */
  check(): void {
    const local = [...this.watches].filter(([file]) => !file.includes('/node_modules/') && !isPackageCode(file));
    if (local.every(([file, watch]) => modifiedAt(file) === watch.modified)) return;
    // All of them: a module that imports a changed one must run again too.
    for (const [file, watch] of local) {
      const before = watch.modified;
      watch.modified = modifiedAt(file);
      watch.callback(file, eventKind(before, watch.modified));
    }
  }
}

function eventKind(before: number, after: number): TypeScript.FileWatcherEventKind {
  if (after === 0) return ts.FileWatcherEventKind.Deleted;
  return before === 0 ? ts.FileWatcherEventKind.Created : ts.FileWatcherEventKind.Changed;
}
