/** The compiler as the main thread sees it: it works in the language thread, what it made is run here. */
import Module from 'node:module';
import type { ConvertResult, Converter, Diagnostic } from 'tslab/dist/converter';
import { CodeMap } from '../compiler/code-map';
import { LanguageLink } from './language-link';
import { type CompiledCell, flags } from './thread-messages';
import type { Threads } from './threads';

export class RemoteCompiler {
  /** Maps from positions in stack traces to the source. */
  readonly codeMap = new CodeMap();
  private readonly flags: Int32Array;
  private readonly link: LanguageLink;
  private cell?: CompiledCell;

  constructor({ language, flags: shared }: Pick<Threads, 'language' | 'flags'>) {
    this.flags = shared;
    this.link = new LanguageLink(language, shared);
  }

  /** Whether a client debugs. */
  get isDebugging(): boolean {
    return Atomics.load(this.flags, flags.debugging) === 1;
  }

  /** Loads what the first cell needs. */
  warmUp(): void {
    this.link.tell({ type: 'warm_up' });
  }

  /** Compiles a cell, which {@link converter} then hands to tslab. @param name how stack traces call it */
  async compile(name: string, code: string): Promise<CompiledCell> {
    this.cell = undefined;
    const cell = await this.link.ask<CompiledCell>({ type: 'compile', name, code });
    for (const { name: codeName, options, first, second } of cell.codes) {
      const makeSecond = second === undefined ? undefined : () => this.secondMap(second);
      this.codeMap.add(codeName, first === undefined ? undefined : { first, second: makeSecond }, options);
    }
    this.cell = cell;
    return cell;
  }

  private secondMap(map: number): string {
    return this.link.askNow<string>({ type: 'map', map }) ?? '';
  }

  /** The errors in the last cell. */
  get diagnostics(): readonly Diagnostic[] {
    return this.cell?.diagnostics ?? [];
  }

  /** The variable in which the last cell's code puts the value of its last expression. */
  get resultName(): string | undefined {
    return this.cell?.resultName;
  }

  /** The names that get a value while the last cell runs. */
  get assigned(): readonly string[] {
    return this.cell?.assigned ?? [];
  }

  /** The last cell has ended: what it declared is there for the next ones, but for names that got no value. */
  keep(missing: ReadonlySet<string>): void {
    this.link.tell({ type: 'keep', missing });
  }

  /** What tslab's executor takes for its compiler: it gets the cell that was compiled last. */
  get converter(): Converter {
    const notHere = (): never => {
      throw new Error('questions about code are answered in the language thread');
    };
    return {
      convert: () => ({ ...this.cell, lastExpressionVar: undefined }) as unknown as ConvertResult,
      addModule: () => [...this.diagnostics],
      inspect: notHere,
      complete: notHere,
      close: () => undefined,
    };
  }

  /** Loads tslab's executor without the compiler, with which it would read a cell's `@module`. */
  loadExecutor(): typeof import('tslab/dist/executor') {
    const file = require.resolve('tslab/dist/metadata');
    const standIn = new Module(file);
    standIn.exports = { getCodeMetadata: () => ({ module: this.cell?.module }) };
    standIn.loaded = true;
    require.cache[file] = standIn;
    return require('tslab/dist/executor') as typeof import('tslab/dist/executor');
  }
}
