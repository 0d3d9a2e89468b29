/** What the language thread does with tslab's compiler. */
import type { Diagnostic } from 'tslab/dist/converter';
import type { Executor } from 'tslab/dist/executor';
import type { CodeMaps, MapOptions } from '../compiler/code-map';
import type { CellCompiler } from '../compiler/cell-compiler';
import type { CompiledCell, CompiledCode, LanguageQuestion } from './thread-messages';

/** Pieces of code whose second map can still be asked for. */
const keptMaps = 1000;

/** Everything that needs the compiler, loaded with the first cell or question: later than all else at the start. */
function loadParts(folder: string, onCode: ConstructorParameters<typeof CellCompiler>[1]) {
  const { Answers } = require('./answers') as typeof import('./answers');
  const { CellCompiler: Compiler } = require('../compiler/cell-compiler') as typeof import('../compiler/cell-compiler');
  const { getCodeMetadata } = require('tslab/dist/metadata') as typeof import('tslab/dist/metadata');
  const { isGuarded, withoutTypes } = require('../compiler/expressions') as typeof import('../compiler/expressions');
  const compiler = new Compiler(folder, onCode);
  const ask: Pick<Executor, 'inspect' | 'complete'> = {
    inspect: (code, at) => compiler.inspect('', code, at),
    complete: (code, at) => compiler.complete('', code, at),
  };
  return { compiler, answers: new Answers(ask as Executor), getCodeMetadata, isGuarded, withoutTypes };
}

export class LanguageService {
  private lazyParts?: ReturnType<typeof loadParts>;
  private readonly secondMaps = new Map<number, () => string>();
  private readonly codes = new Map<string, CompiledCode>();
  private compiledNow: CompiledCode[] = [];
  private mapCount = 0;

  /** @param folder the notebook's, and the working folder */
  constructor(private readonly folder: string) {}

  private get parts(): ReturnType<typeof loadParts> {
    return (this.lazyParts ??= loadParts(this.folder, (...code) => this.addCode(...code)));
  }

  /** Loads and tries what the first cell and the first question need. */
  warmUp(): void {
    this.parts.answers.complete('let warm = 1; warm', 18);
  }

  /** The cell compiled last has ended: see {@link CellCompiler.keep}. */
  keep(missing: ReadonlySet<string>): void {
    this.parts.compiler.keep(missing);
  }

  declare(name: string): void {
    this.parts.compiler.declare(name);
  }

  answer(question: LanguageQuestion): unknown {
    switch (question.type) {
      case 'compile':
        return this.compile(question.name, question.code);
      case 'complete':
        return this.parts.answers.complete(question.code, question.cursor_pos);
      case 'inspect':
        return this.parts.answers.inspect(question.code, question.cursor_pos);
      case 'is_complete':
        return this.parts.answers.isComplete(question.code);
      case 'check':
        return this.check(question.code);
      case 'map':
        return this.secondMaps.get(question.map)?.();
      case 'code':
        return this.codes.get(question.name);
      case 'local_files':
        return this.compiledNow.filter(({ options }) => !options.cell).map(({ name }) => name);
      case 'strip_types':
        return this.parts.withoutTypes(question.code);
      case 'is_guarded':
        return this.parts.isGuarded(question.code, question.line, question.column);
    }
  }

  private compile(name: string, source: string): CompiledCell {
    const { compiler, getCodeMetadata } = this.parts;
    this.compiledNow = [];
    const metadata = getCodeMetadata(source);
    if (metadata.module) {
      const diagnostics = compiler.addModule(metadata.module, source, metadata);
      return { module: metadata.module, diagnostics, codes: [], files: [], assigned: [], imports: [] };
    }
    compiler.cellName = name;
    const { diagnostics, output, hasToplevelAwait } = compiler.convert('', source);
    const { resultName, assigned, imports } = compiler;
    const files = compiler.takeFiles().map(({ file, code, imports, awaits }) => ({ file, code, imports, awaits }));
    const codes = this.compiledNow;
    return { diagnostics, output, hasToplevelAwait, files, codes, resultName, assigned, imports };
  }

  private check(source: string): readonly Diagnostic[] {
    const { compiledNow } = this;
    try {
      return this.parts.compiler.check(source);
    } finally {
      this.compiledNow = compiledNow;
    }
  }

  private addCode(name: string, maps: CodeMaps | undefined, options: MapOptions): void {
    const second = maps?.second && ++this.mapCount;
    if (second && maps.second) this.secondMaps.set(second, maps.second);
    const code: CompiledCode = { name, options, first: maps?.first, second };
    this.compiledNow.push(code);
    this.codes.delete(name);
    this.codes.set(name, code);
    for (const kept of [this.codes, this.secondMaps] as Map<unknown, unknown>[])
      for (const oldest of kept.keys()) {
        if (kept.size <= keptMaps) break;
        kept.delete(oldest);
      }
  }
}
