/**
 * tslab's converter, extended: options of the project, types of this package in any folder, modules above the
 * notebook's folder, edits of local files, source maps, and awaits that an interrupt can stop.
 */
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { createBuilder, localFiles } from './builder';
import { correctDiagnostics, inFile } from './correct-diagnostics';
import type { CodeMaps, MapOptions } from './code-map';
import { type CommonJs, jsonModule, splitMap, toCommonJs } from './common-js';
import { type CellDeclarations, Declarations, declarationsOf } from './declarations';
import { exportOnFastPath, mayTakeFastPath } from './fast-path';
import { FileWatches } from './file-watches';
import { ModuleResolution } from './module-resolution';
import { makeMembersPublic, privateMemberDiagnostic } from './private-members';
import { cellOptions } from './project';
import { exportedByName } from './exported-names';
import { expandShorthands, hideGlobals } from './shorthands';
import { stripExports } from './strip-exports';
import { diagnosticsOf, patched, ts } from './typescript';
// After ./typescript: the converter must see the patched compiler.
import { type Converter, type ConvertResult, createConverter, type Diagnostic } from 'tslab/dist/converter';

/** Makes tslab compile a cell as an async function. It stands on the cell's first line, so that lines keep their numbers. */
const asyncPrefix = 'await null;';

/** The name under which tslab compiles a cell. */
const CELL_FILE = '/__tslab__.ts';

/** TypeScript's error for an `await` at the top, by which tslab knows that a cell is asynchronous. */
const topLevelAwait = 1308;

/** TypeScript's errors for an `await` at the top of a file without imports and exports, where the kernel can wait. */
const awaitsInScript = [1375, 1431];

/** A local file that cells import, compiled. */
export interface CompiledSource extends CommonJs {
  readonly file: string;
}

/** tslab's converter for cells in one folder. */
export class CellCompiler implements Converter {
  private readonly inner: Converter;
  private readonly watches = new FileWatches();
  private readonly modules = new ModuleResolution();
  /** Local files as they were when they were compiled last; an edited one is another object. */
  private readonly compiled = new Map<string, TypeScript.SourceFile>();
  /** Local files that were compiled and that nobody has taken. */
  private files: CompiledSource[] = [];
  /** The cell as the second compilation left it. */
  private module?: CommonJs;
  /** Errors in the syntax of local files that are not below the notebook's folder: tslab leaves them out. */
  private outsideErrors: Diagnostic[] = [];
  /** Whether the cell says `// @ts-nocheck`. */
  private skipsChecks = false;
  private mayTakeFastPath = false;
  /** What the cell's emitted JavaScript exports, where it needs no second compilation. */
  private fastPath?: readonly string[];
  private readonly declarations = new Declarations();
  /** What the last cell declares, until {@link keep} adds it to the declarations. */
  private cell?: CellDeclarations;
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
    this.module = undefined;
    this.resultName = undefined;
    this.outsideErrors = [];
    this.watches.check();
    this.skipsChecks = /^\s*\/\/\s*@ts-nocheck\b/.test(source);
    const prefix = /\bawait\b/.test(source) ? asyncPrefix : '';
    const declared = stripExports(source);
    this.mayTakeFastPath = mayTakeFastPath(source);
    let result = this.inner.convert(previous, prefix + declared);
    if (result.diagnostics.some((one) => one.code === privateMemberDiagnostic))
      result = this.inner.convert(previous, prefix + makeMembersPublic(declared));
    if (this.outsideErrors.length > 0) result = { diagnostics: [...result.diagnostics, ...this.outsideErrors] };
    this.diagnostics = result.diagnostics;
    correctDiagnostics(result.diagnostics, prefix);
    this.mapCode(result, source, prefix);
    this.resultName = result.lastExpressionVar;
    // The kernel takes the value where the code puts it; tslab would look in an object of its own.
    return { ...result, lastExpressionVar: undefined };
  }

  /** Remembers the source of the code that is going to run, for stack traces. */
  private mapCode(
    { output, hasToplevelAwait, lastExpressionVar }: ConvertResult,
    source: string,
    prefix: string,
  ): void {
    if (!output) return;
    const lines = output.split('\n');
    const resultLine = lines.findLastIndex((line) => line.startsWith(`exports.${lastExpressionVar} = `)) + 1;
    this.onCode(this.cellName, this.module?.maps, {
      columns: prefix.length,
      cell: { asynchronous: hasToplevelAwait ?? false, source, lines: lines.length, resultLine },
    });
  }

  /** The local files that have become code since they were last taken. */
  takeFiles(): readonly CompiledSource[] {
    return this.files.splice(0);
  }

  /** The modules that the cell compiled last loads before its first line. */
  get imports(): readonly string[] {
    return this.module?.imports ?? [];
  }

  /** The names that get a value while the cell compiled last runs. */
  get assigned(): readonly string[] {
    const { cell } = this;
    return cell
      ? (this.module?.exported ?? []).filter((name) => name !== this.resultName && !cell.ambient.has(name))
      : [];
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
    const { cell, module, resultName, diagnostics, cellName } = this;
    this.cellName = 'subshell';
    try {
      return this.compile(this.declarations.textWith(cell), source).diagnostics;
    } finally {
      Object.assign(this, { cell, module, resultName, diagnostics, cellName });
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
    patched.transpileModule = (text: string) => ({ outputText: this.secondPass(text), diagnostics: [] });
    patched.getPreEmitDiagnosticsOfFiles = this.errorsIn.bind(this);
  }

  /** The errors in a cell and the local files that it leans on, as tslab takes them. */
  private errorsIn(program: TypeScript.Program, [cell]: readonly TypeScript.SourceFile[]): TypeScript.Diagnostic[] {
    const files = [cell, ...localFiles(program, cell)];
    const found = diagnosticsOf(program, files, (file) => file === cell);
    const isSyntax = ({ code }: TypeScript.Diagnostic): boolean => code >= 1000 && code < 2000;
    const isWrong = (one: TypeScript.Diagnostic): boolean => one.file === cell || !awaitsInScript.includes(one.code);
    const all = found.filter((one) => (!this.skipsChecks || isSyntax(one)) && isWrong(one));
    const isOutside = ({ file }: TypeScript.Diagnostic): boolean =>
      file !== undefined && path.relative(this.folder, file.fileName).startsWith('..');
    this.outsideErrors = all.filter((one) => isOutside(one) && isSyntax(one)).map(inFile);
    const start = cell.text.indexOf(asyncPrefix);
    if (start < 0 || start > 12) return all;
    // This compiler has nothing against awaits at the top; tslab's has, and tslab goes by that.
    const category = ts.DiagnosticCategory.Error;
    return [...all, { code: topLevelAwait, category, file: cell, start, length: 5, messageText: '' }];
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

  /** Adds to what tslab emits of a cell: shorthand properties, its declarations, the local files that it leans on. */
  private hookBuilder(builder: TypeScript.BuilderProgram): TypeScript.BuilderProgram {
    const emit = builder.emit.bind(builder);
    builder.emit = (source, write, cancel, onlyTypes, transformers) => {
      for (const file of source ? localFiles(builder.getProgram(), source) : []) {
        if (this.compiled.get(file.fileName) === file) continue;
        emit(file, (name, text) => this.addFile(file, name, text));
        this.compiled.set(file.fileName, file);
      }
      this.fastPath = undefined;
      const last = this.mayTakeFastPath ? [exportOnFastPath((exported) => (this.fastPath = [...exported]))] : [];
      let declarations = '';
      const checker = builder.getProgram().getTypeChecker();
      const showAll = hideGlobals(checker);
      const result = emit(
        source,
        write &&
          ((name, text, ...more) => {
            if (name.endsWith('.d.ts')) declarations = text;
            write(path.posix.join(name.split('/')[0], path.basename(name)), text, ...more);
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
      if (source) this.cell = declarationsOf(source, declarations, checker);
      return result;
    };
    return builder;
  }

  /** A local file was compiled for the first time: it becomes what runs. */
  private addFile({ fileName: file }: TypeScript.SourceFile, name: string, text: string): void {
    if (/\.d\.[cm]?ts$/.test(name)) return;
    const rename = (imported: string): string => this.modules.runtimeName(file, imported);
    const module = name.endsWith('.json') ? jsonModule(text) : toCommonJs(text, { isCell: false, file, rename });
    this.files.push({ file, ...module });
    this.onCode(file, module.maps, { columns: 0 });
  }

  /** The cell was compiled for the first time. @returns the code that runs */
  private secondPass(text: string): string {
    const place = path.join(this.folder, CELL_FILE);
    const { fastPath } = this;
    if (fastPath) {
      const { bare, map } = splitMap(text);
      const maps = map === undefined ? undefined : { first: map };
      this.module = { code: `${bare}\n`, maps, imports: [], awaits: false, exported: fastPath };
    } else {
      const rename = (name: string): string => this.modules.runtimeName(place, name);
      this.module = toCommonJs(text, { isCell: true, file: path.join(this.folder, `${this.cellName}.ts`), rename });
    }
    return this.module.code;
  }
}
