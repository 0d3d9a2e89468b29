/** Local files that Node.js itself loads, without the compiler: an edited one is loaded again. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { isPackageCode } from '../compiler/package-paths';

/** A file's state, which an edit changes; empty where there is none. */
function stateOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs}-${stat.size}` : '';
}

export class NativeFiles {
  private readonly states = new Map<string, string>();

  /** A file is about to be loaded. */
  note(file: string): void {
    if (this.states.has(file) || !path.isAbsolute(file) || file.includes('/node_modules/') || isPackageCode(file))
      return;
    this.states.set(file, stateOf(file));
  }

  /** Forgets all of them if one has changed: those that lean on it must run again, too. @returns whether one has */
  forgetEdited(): boolean {
    const edited = [...this.states].some(([file, state]) => stateOf(file) !== state);
    if (edited) for (const file of this.states.keys()) Reflect.deleteProperty(require.cache, file);
    if (edited) this.states.clear();
    return edited;
  }

  /** What an ES module's URL is to end with, so that an edited one is another module. */
  suffix(file: string): string {
    this.note(file);
    const state = this.states.get(file);
    return state === undefined ? '' : `?${state}`;
  }
}
