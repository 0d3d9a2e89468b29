/**
 * The converter of tslab, reached into: project options, types of this package in any folder, modules above the
 * notebook, edits of local files, source maps, and awaits that an interrupt can stop.
 */
import { statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import type * as TypeScript from '@tslab/typescript-for-tslab';
import { createBuilder } from './builder';
import { type CellDeclarations, Declarations, declarationsOf } from './declarations';
import { exportDirectly, mayBeDirect } from './direct';
import { exportedNames, exportEarly, withoutReset } from './early';
import { withoutExports } from './exports';
import { cellOptions, resolution } from './project';
import { isPackageCode, packageFile, packageRoot, packageTypes } from './place';
import { privateInClassExpression, withPublicMembers } from './privates';
import { rewriteForRuntime } from './rewrite';
import { expandShorthands } from './shorthands';
import { type CodeMaps, CodeMap } from './sourcemap';
import { patched, ts } from './typescript';
// After ./typescript: the converter must see the patched compiler.
import { type Converter, type ConvertResult, createConverter, type Diagnostic } from 'tslab/dist/converter';

type FileWatch = { readonly callback: TypeScript.FileWatcherCallback; stamp: number };

/** Files that are given a place below the output folder although they are not below the notebook's. */
const outside = '__outside__';
/** Makes tslab take every cell with an `await` for an asynchronous one; on the cell's first line, so lines stay. */
const asyncPrefix = 'await null;';

/** The file that tslab takes a cell for. */
const CELL_FILE = '/__tslab__.ts';

const syntaxOnly = 1308; // top-level await: tslab needs to see this one to know that the cell is asynchronous

function withoutMap(text: string): string {
  return text.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n');
}

function stampOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** tslab's converter for cells in one folder. */
export class CellCompiler implements Converter {
  private readonly inner: Converter;
  private readonly watched = new Map<string, FileWatch>();
  private readonly emitted = new Map<string, string>();
  private readonly localImports = new Map<string, string>();
  private readonly maps = new Map<string, CodeMaps>();
  private unchecked = false;
  /** Whether the cell may be compiled at once, and the emitted texts that were. */
  private mayBeDirect = false;
  private readonly direct = new Set<string>();
  private readonly declarations = new Declarations();
  /** What the cell declares that was compiled last, until it is kept. */
  private cell?: CellDeclarations;
  /** What its code exports. */
  private exported: readonly string[] = [];
  /** Where its code puts the value of its last expression. */
  resultName?: string;
  /** Where code came from, by the name that stands in stack traces. */
  readonly codeMap = new CodeMap();
  /** What was wrong with the cell compiled last. */
  diagnostics: readonly Diagnostic[] = [];
  /** The name of the cell that is compiled next. */
  cellName = 'cell-0';

  /** @param folder the notebook's; it must be the working folder while this is made, tslab looks there */
  constructor(private readonly folder: string) {
    this.hook();
    this.inner = createConverter({ isJS: false, isBrowser: false });
  }

  /** Compiles a cell. What earlier cells have declared is known here: {@link keep} says what is there of it. */
  convert(_previous: string, source: string): ConvertResult {
    const previous = this.declarations.text;
    this.cell = undefined;
    this.resultName = undefined;
    this.noticeEdits();
    this.unchecked = /^\s*\/\/\s*@ts-nocheck\b/.test(source);
    const prefix = /\bawait\b/.test(source) ? asyncPrefix : '';
    const declared = withoutExports(source);
    this.mayBeDirect = mayBeDirect(source);
    let result = this.inner.convert(previous, prefix + declared);
    if (result.diagnostics.some((one) => one.code === privateInClassExpression))
      result = this.inner.convert(previous, prefix + withPublicMembers(declared));
    for (const diagnostic of result.diagnostics) {
      if (diagnostic.code === 2792) {
        // Its advice is about an option that is the kernel's own business.
        diagnostic.code = 2307;
        diagnostic.messageText = diagnostic.messageText.replace(/\. Did you mean.*$/, ' or its type declarations.');
      }
      if (diagnostic.fileName) continue;
      for (const position of [diagnostic.start, diagnostic.end]) {
        position.offset -= prefix.length;
        if (position.line === 0) position.character -= prefix.length;
      }
    }
    this.diagnostics = result.diagnostics;
    for (const side of result.sideOutputs ?? []) {
      const mark = path.join(this.folder, outside);
      const place = side.path.startsWith(mark) ? side.path.slice(mark.length) : side.path;
      this.codeMap.add(place, this.maps.get(side.data), { file: place.replace(/\.js$/, '.ts'), columns: 0 });
      side.path = place;
    }
    if (result.output) {
      this.codeMap.add(this.cellName, this.maps.get(result.output), {
        columns: prefix.length,
        cell: { asynchronous: result.hasToplevelAwait ?? false, source, lines: result.output.split('\n').length },
      });
    }
    this.maps.clear();
    this.emitted.clear();
    this.direct.clear();
    this.resultName = result.lastExpressionVar;
    // The value is taken where the code puts it; tslab would look for it in a place of its own.
    return { ...result, lastExpressionVar: undefined };
  }

  /** The names that get a value while the cell compiled last runs. */
  get assigned(): readonly string[] {
    const { cell } = this;
    return cell ? this.exported.filter((name) => name !== this.resultName && !cell.ambient.has(name)) : [];
  }

  /**
   * The cell compiled last has ended: what it declared is there for the next ones.
   * @param missing the names that were to get a value and did not, for it ended early
   */
  keep(missing: ReadonlySet<string>): void {
    if (this.cell) this.declarations.add(this.cell, missing);
    this.cell = undefined;
  }

  inspect(_previous: string, source: string, position: number): TypeScript.QuickInfo {
    return this.inner.inspect(this.declarations.text, source, position);
  }

  complete(_previous: string, source: string, position: number): ReturnType<Converter['complete']> {
    return this.inner.complete(this.declarations.text, source, position);
  }

  addModule(...args: Parameters<Converter['addModule']>): ReturnType<Converter['addModule']> {
    const diagnostics = this.inner.addModule(...args);
    this.diagnostics = diagnostics;
    return diagnostics;
  }

  close(): void {
    this.inner.close();
  }

  /** Local files are looked at before each cell: their edits count from the next cell on, without a race. */
  private noticeEdits(): void {
    const local = [...this.watched].filter(([file]) => !file.includes('/node_modules/') && !isPackageCode(file));
    const changed = local.filter(([file, watch]) => stampOf(file) !== watch.stamp);
    if (changed.length === 0) return;
    // All of them: a module that imports a changed one must be run anew as well.
    for (const [file, watch] of local) {
      const before = watch.stamp;
      watch.stamp = stampOf(file);
      const kind =
        watch.stamp === 0
          ? ts.FileWatcherEventKind.Deleted
          : before === 0
            ? ts.FileWatcherEventKind.Created
            : ts.FileWatcherEventKind.Changed;
      watch.callback(file, kind);
    }
  }

  private hook(): void {
    const sys = Object.create(ts.sys) as TypeScript.System;
    sys.watchFile = (file, callback) => {
      this.watched.set(file, { callback, stamp: stampOf(file) });
      return { close: () => this.watched.delete(file) };
    };
    sys.watchDirectory = () => ({ close: () => undefined });
    patched.sys = sys;
    patched.createWatchCompilerHost = this.createHost.bind(this);
    patched.transpileModule = this.transpile.bind(this);
    const diagnostics = patched.getPreEmitDiagnosticsOfFiles as (
      program: TypeScript.Program,
      files: readonly TypeScript.SourceFile[],
    ) => readonly TypeScript.Diagnostic[];
    patched.getPreEmitDiagnosticsOfFiles = (program: TypeScript.Program, files: readonly TypeScript.SourceFile[]) => {
      const all = diagnostics(program, files);
      if (!this.unchecked) return all;
      return all.filter((one) => one.code === syntaxOnly || (one.code >= 1000 && one.code < 2000));
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
    const host = ts.createWatchCompilerHost(roots, own, sys, create, report, reportWatch);
    host.resolveModuleNameLiterals = (names, from, redirect, resolveOptions) =>
      names.map((name) => this.resolve(name.text, from, redirect, resolveOptions, host));
    // A cell's imports are resolved whenever its text changes; nothing else needs to be resolved again.
    host.hasInvalidatedResolutions = () => false;
    return host;
  }

  private resolve(
    name: string,
    from: string,
    redirect: TypeScript.ResolvedProjectReference | undefined,
    options: TypeScript.CompilerOptions,
    host: TypeScript.ModuleResolutionHost,
  ): TypeScript.ResolvedModuleWithFailedLookupLocations {
    // Declared by the types of Node.js, where Node.js has them; looking for packages of these names costs a start most.
    if (isBuiltin(name)) return { resolvedModule: undefined };
    if (name === 'unilab' || name.startsWith('unilab/')) {
      const file = name === 'unilab' ? packageTypes() : packageFile(name, ['.d.ts', '.ts']);
      if (file) {
        const extension = file.endsWith('.d.ts') ? ts.Extension.Dts : ts.Extension.Ts;
        return { resolvedModule: { resolvedFileName: file, extension, isExternalLibraryImport: true } };
      }
    }
    const own = { ...options, ...resolution };
    const found = ts.resolveModuleName(name, from, own, host, undefined, redirect);
    const file = found.resolvedModule;
    if (file) {
      const compiled = /\.[cm]?tsx?$/.test(file.resolvedFileName) && !/\.d\.[cm]?ts$/.test(file.resolvedFileName);
      const local = !file.isExternalLibraryImport && !file.resolvedFileName.includes('/node_modules/');
      if (compiled && local) this.localImports.set(`${from}\0${name}`, file.resolvedFileName);
      return found;
    }
    // Packages that this one brings along can be imported by notebooks anywhere.
    const bare = !/^[./]/.test(name);
    return bare ? ts.resolveModuleName(name, path.join(packageRoot, 'cell.ts'), own, host, undefined, redirect) : found;
  }

  /** Lets files outside of the notebook's folder through tslab's emit, and mends what tslab gets wrong. */
  private hookBuilder(builder: TypeScript.BuilderProgram): TypeScript.BuilderProgram {
    const emit = builder.emit.bind(builder);
    builder.emit = (source, write, cancel, onlyTypes, transformers) => {
      const cell = source?.fileName.endsWith(CELL_FILE) ? source : undefined;
      let direct = false;
      const exportNow = exportDirectly((exported) => {
        direct = true;
        this.exported = [...exported];
      });
      const last = cell && this.mayBeDirect ? [exportNow] : [];
      let declarations = '';
      const result = emit(
        source,
        write &&
          ((name, text, ...more) => {
            if (source && name.endsWith('.js')) this.emitted.set(text, source.fileName);
            if (direct && name.endsWith('.js')) this.direct.add(text);
            if (cell && name.endsWith('.d.ts')) declarations = text;
            write(this.outputName(name), text, ...more);
          }),
        cancel,
        onlyTypes,
        {
          ...transformers,
          before: [...(transformers?.before ?? []), expandShorthands(builder.getProgram().getTypeChecker())],
          after: [...(transformers?.after ?? []), ...last],
        },
      );
      if (cell) this.cell = declarationsOf(cell, declarations, builder.getProgram().getTypeChecker());
      return result;
    };
    return builder;
  }

  /** `outDir/abs/path/x.js` to `outDir/x.js` below the notebook's folder, to a marked place elsewhere. */
  private outputName(name: string): string {
    const [top, ...rest] = name.split('/');
    const inside = path.relative(this.folder, `/${rest.join('/')}`);
    return inside.startsWith('..') ? `${top}/${outside}/${rest.join('/')}` : `${top}/${inside}`;
  }

  private transpile(code: string, options: TypeScript.TranspileOptions): TypeScript.TranspileOutput {
    const inline = /\n\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/.exec(code);
    const from = this.emitted.get(code) ?? '';
    const bare = inline ? code.slice(0, inline.index) : code;
    if (this.direct.has(code)) {
      const outputText = `${bare}\n`;
      if (inline) this.maps.set(outputText, { first: Buffer.from(inline[1], 'base64').toString() });
      return { outputText, diagnostics: [] };
    }
    const rewrite = rewriteForRuntime((name) => this.runtimeName(from, name));
    const isCell = from.endsWith(CELL_FILE);
    const collect: TypeScript.TransformerFactory<TypeScript.SourceFile> = () => (file) => {
      this.exported = exportedNames(file);
      return file;
    };
    const transformers: TypeScript.CustomTransformers = isCell
      ? { before: [collect, rewrite, exportEarly()], after: [withoutReset()] }
      : { before: [rewrite] };
    const compile = (sourceMap: boolean): TypeScript.TranspileOutput =>
      ts.transpileModule(bare, {
        ...options,
        compilerOptions: { ...options.compilerOptions, sourceMap },
        transformers,
      });
    const output = compile(false);
    const text = withoutMap(output.outputText);
    if (inline) {
      const first = Buffer.from(inline[1], 'base64').toString();
      // Most code never fails, and the second map takes as long as the code itself.
      this.maps.set(text, { first, second: () => compile(true).sourceMapText ?? '' });
    }
    return { ...output, outputText: text };
  }

  /** How running code must name a module: local TypeScript by its path, whatever the project calls it. */
  private runtimeName(from: string, name: string): string {
    const file = this.localImports.get(`${from}\0${name}`);
    if (!file) return name;
    const relative = path.relative(path.dirname(from), file).replace(/\.[cm]?tsx?$/, '.js');
    return relative.startsWith('.') ? relative : `./${relative}`;
  }
}
