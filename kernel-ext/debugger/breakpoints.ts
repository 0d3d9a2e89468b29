/** Breakpoints: what clients ask for, and what V8 knows of it. */
import type { LanguageLink } from '../threads/language-link';
import type { Inspector, Location } from './inspector';
import type { Script, Sources } from './sources';

/** A breakpoint as a client sets it. The line counts from 1. */
export interface SourceBreakpoint {
  readonly line: number;
  /** It stops only where this TypeScript expression is true. */
  readonly condition?: string;
}

export class Breakpoints {
  private readonly wanted = new Map<string, readonly SourceBreakpoint[]>();
  /** V8's ids, by script or by the name of a local file's code. */
  private readonly ids = new Map<string, readonly string[]>();

  constructor(
    private readonly inspector: Inspector,
    private readonly sources: Sources,
    private readonly language: LanguageLink,
  ) {}

  /** All of them, as debugInfo shows them. */
  get all(): { readonly source: string; readonly breakpoints: readonly SourceBreakpoint[] }[] {
    return [...this.wanted].map(([source, breakpoints]) => ({ source, breakpoints }));
  }

  /**
   * Sets those of one source, in place of the ones before.
   * @returns the line of each: code that runs already may have none on the line that was asked for
   */
  async set(source: string, breakpoints: readonly SourceBreakpoint[]): Promise<number[]> {
    if (breakpoints.length > 0) this.wanted.set(source, breakpoints);
    else this.wanted.delete(source);
    let found = new Map<number, number>();
    for (const script of await this.sources.scriptsOf(source)) found = await this.apply(script);
    return breakpoints.map(({ line }) => found.get(line) ?? line);
  }

  /** Sets a source's breakpoints in one script. @returns by wanted line, the line where it could be set */
  async apply(script: Script): Promise<ReadonlyMap<number, number> & Map<number, number>> {
    await this.remove(script.id);
    await this.remove(script.name);
    const wanted = this.wanted.get(script.path) ?? [];
    const found = new Map<number, number>();
    if (wanted.length === 0) return found;
    const locations = await this.places(script);
    const ids: string[] = [];
    for (const { line, condition } of wanted) {
      // The first place on the line, or on the next line that has one.
      let best: { readonly location: Location; readonly line: number } | undefined;
      for (const location of locations) {
        const origin = this.sources.origin(location);
        if (!origin || origin.line < line || (best && best.line <= origin.line)) continue;
        best = { location, line: origin.line };
      }
      if (!best) continue;
      found.set(line, best.line);
      const id = await this.setInV8('Debugger.setBreakpoint', { location: best.location }, condition);
      if (id) ids.push(id);
    }
    this.ids.set(script.id, ids);
    return found;
  }

  /** All places in a script where code can stop. None in a script that V8 has thrown away since: it tells nobody. */
  private async places({ id: scriptId }: Script): Promise<Location[]> {
    const start: Location = { scriptId, lineNumber: 0, columnNumber: 0 };
    try {
      return (await this.inspector.post<{ locations: Location[] }>('Debugger.getPossibleBreakpoints', { start }))
        .locations;
    } catch (error) {
      if (!/Script not found/.test((error as Error).message)) throw error;
      this.sources.forget(scriptId);
      return [];
    }
  }

  /**
   * Sets those of a local file that the cell which is about to run will load: V8 does not stop before it.
   * @param name the code's name
   */
  async applyAhead(name: string): Promise<void> {
    const ids: string[] = [];
    await this.remove(name);
    for (const [source, breakpoints] of this.wanted)
      for (const { line, condition } of breakpoints) {
        const place = await this.sources.placeAhead(name, source, line);
        const id = place && (await this.setInV8('Debugger.setBreakpointByUrl', place, condition));
        if (id) ids.push(id);
      }
    this.ids.set(name, ids);
  }

  private async setInV8(method: string, place: object, condition?: string): Promise<string | undefined> {
    const plain = condition && (await this.language.ask<string>({ type: 'strip_types', code: condition }));
    try {
      return (await this.inspector.post<{ breakpointId: string }>(method, { ...place, condition: plain })).breakpointId;
    } catch {
      return undefined; // two lines that share one place
    }
  }

  private async remove(key: string): Promise<void> {
    for (const breakpointId of this.ids.get(key) ?? [])
      await this.inspector.post('Debugger.removeBreakpoint', { breakpointId });
    this.ids.delete(key);
  }

  /** The client is gone. */
  clear(): void {
    this.wanted.clear();
    this.ids.clear();
  }
}
