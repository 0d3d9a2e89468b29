/**
 * tslab's converter, extended: options of the project, types of this package in any folder, modules above the
 * notebook's folder, edits of local files, source maps, and awaits that an interrupt can stop.
 */
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { createBuilder } from './builder';
import { correctDiagnostics } from './correct-diagnostics';
import type { CodeMaps, MapOptions } from './code-map';
import { type CellDeclarations, Declarations, declarationsOf } from './declarations';
import { exportedNames, exportEarly, removeReset } from './early-exports';
import { exportOnFastPath, mayTakeFastPath } from './fast-path';
import { FileWatches } from './file-watches';
import { ModuleResolution } from './module-resolution';
import { makeMembersPublic, privateMemberDiagnostic } from './private-members';
import { cellOptions } from './project';
import { rewriteImports } from './rewrite';
import { exportedByName } from './exported-names';
import { followCalls } from './follow-calls';
import { expandShorthands, hideGlobals } from './shorthands';
import { stripExports } from './strip-exports';
import { diagnosticsOf, patched, ts } from './typescript';
// After ./typescript: the converter must see the patched compiler.
import { type Converter, type ConvertResult, createConverter, type Diagnostic } from 'tslab/dist/converter';

/** A mark in the output paths of files that are not below the notebook's folder: tslab only accepts paths below it. */
const outsideMark = '__outside__';
/** Makes tslab compile a cell as an async function. It stands on the cell's first line, so that lines keep their numbers. */
const asyncPrefix = 'await null;';

/** The name under which tslab compiles a cell. */
const CELL_FILE = '/__tslab__.ts';

/** TypeScript's error for an `await` at the top, by which tslab knows that a cell is asynchronous. */
const topLevelAwait = 1308;

function withoutMap(text: string): string {
  return text.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n');
}

/** tslab's converter for cells in one folder. */
export class CellCompiler implements Converter {
  private readonly inner: Converter;
  private readonly watches = new FileWatches();
  private readonly modules = new ModuleResolution();
  /** Source files by the JavaScript that the first compilation made of them. */
  private readonly emitted = new Map<string, string>();
  /** Local source files by the code that runs. */
  private readonly sideFiles = new Map<string, string>();
  private readonly maps = new Map<string, CodeMaps>();
  /** Whether the cell says `// @ts-nocheck`. */
  private skipsChecks = false;
  private mayTakeFastPath = false;
  /** Emitted JavaScript that needs no second compilation. */
  private readonly fastPathTexts = new Set<string>();
  private readonly declarations = new Declarations();
  /** What the last cell declares, until {@link keep} adds it to the declarations. */
  private cell?: CellDeclarations;
  /** What its code exports. */
  private exportedNames: readonly string[] = [];
  /** The variable in which its code puts the value of its last expression. */
  resultName?: string;
  /** The errors in the last cell. */
  diagnostics: readonly Diagnostic[] = [];
  /** The name of the cell that is compiled next. */
  cellName = 'cell-0';

  /**
   * @param folder the notebook's; it must be the working folder during this call, because tslab looks there
   * @param onCode is told of each piece of code that is going to run, with its maps
   */
  constructor(
    private readonly folder: string,
    private readonly onCode: (name: string, maps: CodeMaps | undefined, options: MapOptions) => void,
  ) {
    this.hook();
    this.inner = createConverter({ isJS: false, isBrowser: false });
  }

  /** Compiles a cell. The first parameter is tslab's; what earlier cells have declared is known here (see {@link keep}). */
  convert(_previous: string, source: string): ConvertResult {
    return this.compile(this.declarations.text, source);
  }

  private compile(previous: string, source: string): ConvertResult {
    this.cell = undefined;
    this.resultName = undefined;
    this.watches.check();
    this.skipsChecks = /^\s*\/\/\s*@ts-nocheck\b/.test(source);
    const prefix = /\bawait\b/.test(source) ? asyncPrefix : '';
    const declared = stripExports(source);
    this.mayTakeFastPath = mayTakeFastPath(source);
    let result = this.inner.convert(previous, prefix + declared);
    if (result.diagnostics.some((one) => one.code === privateMemberDiagnostic))
      result = this.inner.convert(previous, prefix + makeMembersPublic(declared));
    this.diagnostics = result.diagnostics;
    correctDiagnostics(result.diagnostics, prefix);
    this.mapCode(result, source, prefix);
    this.resultName = result.lastExpressionVar;
    // The kernel takes the value where the code puts it; tslab would look in an object of its own.
    return { ...result, lastExpressionVar: undefined };
  }

  /** Remembers the source of the code that is going to run, for stack traces. */
  private mapCode(
    { sideOutputs, output, hasToplevelAwait, lastExpressionVar }: ConvertResult,
    source: string,
    prefix: string,
  ): void {
    const mark = path.join(this.folder, outsideMark);
    for (const side of sideOutputs ?? []) {
      if (side.path.startsWith(mark)) side.path = side.path.slice(mark.length);
      const file = this.sideFiles.get(side.data) ?? side.path;
      this.onCode(side.path, this.maps.get(side.data), { file, columns: 0 });
    }
    if (output) {
      const lines = output.split('\n');
      const resultLine = lines.findLastIndex((line) => line.startsWith(`exports.${lastExpressionVar} = `)) + 1;
      this.onCode(this.cellName, this.maps.get(output), {
        columns: prefix.length,
        cell: { asynchronous: hasToplevelAwait ?? false, source, lines: lines.length, resultLine },
      });
    }
    for (const perCell of [this.maps, this.emitted, this.sideFiles, this.fastPathTexts]) perCell.clear();
  }

  /** The names that get a value while the cell compiled last runs. */
  get assigned(): readonly string[] {
    const { cell } = this;
    return cell ? this.exportedNames.filter((name) => name !== this.resultName && !cell.ambient.has(name)) : [];
  }

  /**
   * The cell compiled last has ended: what it declared is there for the next ones.
   * @param missing the names that were to get a value and did not, for it ended early
   */
  keep(missing: ReadonlySet<string>): void {
    if (this.cell) this.declarations.add(this.cell, missing);
    this.cell = undefined;
  }

  /** The errors in code that is not going to run as a cell; names of the cell that runs are known. */
  check(source: string): readonly Diagnostic[] {
    const { cell, exportedNames, resultName, diagnostics, cellName } = this;
    this.cellName = 'subshell';
    try {
      return this.compile(this.declarations.textWith(cell), source).diagnostics;
    } finally {
      Object.assign(this, { cell, exportedNames, resultName, diagnostics, cellName });
    }
  }

  /** A value got a name by other means than a cell. */
  declare(name: string): void {
    this.declarations.addValue(name);
  }

  inspect(_previous: string, source: string, position: number): ReturnType<Converter['inspect']> {
    return this.inner.inspect(this.declarations.textWith(this.cell), source, position);
  }

  complete(_previous: string, source: string, position: number): ReturnType<Converter['complete']> {
    return this.inner.complete(this.declarations.textWith(this.cell), source, position);
  }

  addModule(...args: Parameters<Converter['addModule']>): ReturnType<Converter['addModule']> {
    const diagnostics = this.inner.addModule(...args);
    this.diagnostics = diagnostics;
    return diagnostics;
  }

  close = (): void => this.inner.close();

  private hook(): void {
    const sys = Object.create(ts.sys) as TypeScript.System;
    sys.watchFile = (file, callback) => this.watches.watch(file, callback);
    sys.watchDirectory = () => ({ close: () => undefined });
    patched.sys = sys;
    patched.createWatchCompilerHost = this.createHost.bind(this);
    patched.transpileModule = this.transpile.bind(this);
    patched.getPreEmitDiagnosticsOfFiles = (program: TypeScript.Program, files: readonly TypeScript.SourceFile[]) => {
      const found = diagnosticsOf(program, files);
      const all = this.skipsChecks ? found.filter(({ code }) => code >= 1000 && code < 2000) : found;
      const cell = files.find(({ fileName }) => fileName.endsWith(CELL_FILE));
      const start = cell?.text.indexOf(asyncPrefix) ?? -1;
      if (!cell || start < 0 || start > 12) return all;
      // This compiler has nothing against awaits at the top; tslab's has, and tslab goes by that.
      const category = ts.DiagnosticCategory.Error;
      const await = { code: topLevelAwait, category, file: cell, start, length: 5, messageText: '' };
      return [...all, await];
    };
  }

  private createHost(
    roots: string[],
    options: TypeScript.CompilerOptions,
    sys: TypeScript.System,
    _create: unknown,
    report: TypeScript.DiagnosticReporter,
    reportWatch: TypeScript.WatchStatusReporter,
  ): TypeScript.WatchCompilerHostOfFilesAndCompilerOptions<TypeScript.BuilderProgram> {
    const create: TypeScript.CreateProgram<TypeScript.BuilderProgram> = (...args) =>
      this.hookBuilder(createBuilder(...args));
    const own = cellOptions(options, this.folder);
    const system = Object.create(sys) as TypeScript.System;
    system.readFile = (file, encoding) => {
      const text = sys.readFile(file, encoding);
      return text !== undefined && file.endsWith(CELL_FILE) ? exportedByName(text) : text;
    };
    const host = ts.createWatchCompilerHost(roots, own, system, create, report, reportWatch);
    host.resolveModuleNameLiterals = (names, from, redirect, resolveOptions) =>
      names.map((name) => this.modules.resolve(name.text, from, redirect, resolveOptions, host));
    // A cell's imports are resolved whenever its text changes; nothing else needs to be resolved again.
    host.hasInvalidatedResolutions = () => false;
    return host;
  }

  /** Adds to what tslab emits: files outside of the notebook's folder, shorthand properties, the cell's declarations. */
  private hookBuilder(builder: TypeScript.BuilderProgram): TypeScript.BuilderProgram {
    const emit = builder.emit.bind(builder);
    builder.emit = (source, write, cancel, onlyTypes, transformers) => {
      const cell = source?.fileName.endsWith(CELL_FILE) ? source : undefined;
      let direct = false;
      const exportNow = exportOnFastPath((exported) => {
        direct = true;
        this.exportedNames = [...exported];
      });
      const last = cell && this.mayTakeFastPath ? [exportNow] : [];
      let declarations = '';
      const checker = builder.getProgram().getTypeChecker();
      const showAll = hideGlobals(checker);
      const result = emit(
        source,
        write &&
          ((name, text, ...more) => {
            if (source && name.endsWith('.js')) this.emitted.set(text, source.fileName);
            if (direct && name.endsWith('.js')) this.fastPathTexts.add(text);
            if (cell && name.endsWith('.d.ts')) declarations = text;
            write(this.outputName(name), text, ...more);
          }),
        cancel,
        onlyTypes,
        {
          ...transformers,
          before: [...(transformers?.before ?? []), expandShorthands(checker)],
          after: [...(transformers?.after ?? []), ...last],
        },
      );
      showAll();
      if (cell) this.cell = declarationsOf(cell, declarations, checker);
      return result;
    };
    return builder;
  }

  /** `outDir/abs/path/x.js` becomes `outDir/x.js` below the notebook's folder, and gets a mark elsewhere. */
  private outputName(name: string): string {
    const [top, ...rest] = name.split('/');
    const inside = path.relative(this.folder, `/${rest.join('/')}`);
    return inside.startsWith('..') ? `${top}/${outsideMark}/${rest.join('/')}` : `${top}/${inside}`;
  }

  private transpile(code: string, options: TypeScript.TranspileOptions): TypeScript.TranspileOutput {
    const inline = /\n\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/.exec(code);
    const from = this.emitted.get(code) ?? '';
    const bare = inline ? code.slice(0, inline.index) : code;
    if (this.fastPathTexts.has(code)) {
      const outputText = `${bare}\n`;
      if (inline) this.maps.set(outputText, { first: Buffer.from(inline[1], 'base64').toString() });
      return { outputText, diagnostics: [] };
    }
    const rewrite = [followCalls(), rewriteImports((name) => this.modules.runtimeName(from, name))];
    const isCell = from.endsWith(CELL_FILE);
    const collect: TypeScript.TransformerFactory<TypeScript.SourceFile> = () => (file) => {
      this.exportedNames = exportedNames(file);
      return file;
    };
    const before = isCell ? [...rewrite, exportEarly()] : rewrite;
    const after = isCell ? [removeReset()] : [];
    const compile = (sourceMap: boolean): TypeScript.TranspileOutput =>
      ts.transpileModule(bare, {
        ...options,
        compilerOptions: { ...options.compilerOptions, sourceMap },
        // A map is made much later, when other cells have been compiled.
        transformers: { before: sourceMap || !isCell ? before : [collect, ...before], after },
      });
    const output = compile(false);
    const text = withoutMap(output.outputText);
    if (!isCell) this.sideFiles.set(text, from);
    if (inline) {
      const first = Buffer.from(inline[1], 'base64').toString();
      // Most code never fails, and the second map takes as long as the code itself.
      this.maps.set(text, { first, second: () => compile(true).sourceMapText ?? '' });
    }
    return { ...output, outputText: text };
  }
}
