/** The notebook's project: compiler options of the nearest tsconfig.json, as far as they make sense for cells. */
import path from 'node:path';
import type * as TypeScript from 'typescript';
import { packageRoot } from './package-paths';
import { ts } from './typescript';

/** Options of a tsconfig.json that cells take over: how strictly to check, and where to find things. */
const adoptedOptions = [
  'strict',
  'noImplicitAny',
  'noImplicitThis',
  'strictNullChecks',
  'strictFunctionTypes',
  'strictBindCallApply',
  'strictPropertyInitialization',
  'useUnknownInCatchVariables',
  'alwaysStrict',
  'noUncheckedIndexedAccess',
  'exactOptionalPropertyTypes',
  'noImplicitOverride',
  'noFallthroughCasesInSwitch',
  'paths',
  'baseUrl',
  'pathsBasePath',
  'types',
  'lib',
  'jsx',
  'jsxFactory',
  'jsxFragmentFactory',
  'jsxImportSource',
  'experimentalDecorators',
  'emitDecoratorMetadata',
  'resolveJsonModule',
  'checkJs',
  'customConditions',
] as const;

/** The project options for notebooks in a folder; `file` is undefined where there is no tsconfig.json above it. */
export interface Project {
  readonly file?: string;
  readonly options: TypeScript.CompilerOptions;
  /** Errors in the tsconfig.json itself. */
  readonly errors: readonly string[];
}

export function projectOf(folder: string): Project {
  const file = ts.findConfigFile(folder, (name) => ts.sys.fileExists(name));
  if (!file) return { options: {}, errors: [] };
  const read = ts.readConfigFile(file, (name) => ts.sys.readFile(name));
  const host: TypeScript.ParseConfigHost = { ...ts.sys, useCaseSensitiveFileNames: true, readDirectory: () => [] };
  const parsed = ts.parseJsonConfigFileContent(read.config ?? {}, host, path.dirname(file), undefined, file);
  const options: TypeScript.CompilerOptions = {};
  for (const name of adoptedOptions) {
    const value = parsed.options[name];
    if (value !== undefined && value !== null) options[name as string] = value;
  }
  // Libraries this TypeScript does not know yet would be an error in every cell.
  const libraries = path.dirname(ts.getDefaultLibFilePath({}));
  if (options.lib) options.lib = options.lib.filter((name) => ts.sys.fileExists(path.join(libraries, name)));
  const noInputs = 18003; // "No inputs were found": cells are the inputs
  const errors = [read.error, ...parsed.errors]
    .filter((one): one is TypeScript.Diagnostic => one !== undefined)
    .filter((one) => one.code !== noInputs && one.code !== 6046) // 6046: a newer TypeScript's value for an option
    .map((one) => `${path.basename(file)}: ${ts.flattenDiagnosticMessageText(one.messageText, '\n')}`);
  return { file, options, errors };
}

/** How modules are found: also those whose types a package names only in its `exports`. */
export const resolution = { moduleResolution: ts.ModuleResolutionKind.Bundler } as const;

function runnableJsx(jsx: TypeScript.JsxEmit | undefined): TypeScript.JsxEmit {
  if (jsx === ts.JsxEmit.Preserve) return ts.JsxEmit.ReactJSX;
  return jsx === undefined || jsx === ts.JsxEmit.ReactNative ? ts.JsxEmit.React : jsx;
}

/** tslab's options with the kernel's and the project's laid over them. */
export function cellOptions(base: TypeScript.CompilerOptions, folder: string): TypeScript.CompilerOptions {
  const project = projectOf(folder).options;
  return {
    ...base,
    // The language as this compiler knows it. What runs is Node.js: no library of browsers.
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    experimentalDecorators: undefined,
    // JavaScript is checked where the project says so, or a file itself.
    checkJs: undefined,
    ...project,
    // Cells and local files run right away, so each kind of JSX becomes calls; and a path may be written as it is.
    jsx: runnableJsx(project.jsx),
    allowImportingTsExtensions: true,
    // As Node.js and its bundlers have it: `import x = require()` and `export =` beside the rest.
    module: ts.ModuleKind.Preserve,
    // Modules are resolved by `resolution` below. With this kind, and no other, TypeScript writes types of packages
    // that the notebook cannot name itself (TS2742) as paths into node_modules, which is just right between cells.
    moduleResolution: ts.ModuleResolutionKind.Classic,
    // Modules above the notebook's folder are welcome; the emit hook maps their paths.
    rootDir: '/',
    inlineSourceMap: true,
    types: [...(project.types ?? ['node']), 'unilab-cell'],
    typeRoots: [
      ...(base.typeRoots ?? []).filter((root) => !root.includes('/tslab/')),
      path.join(packageRoot, 'node_modules', '@types'),
      path.join(packageRoot, 'kernel-ext', 'types'),
    ],
  };
}
