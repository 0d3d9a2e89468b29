/** In which language a notebook is written, by any of the fields in which its programs say so. */
import type { Notebook } from './notebook';

/** What kernels of other languages are called, by how their names begin. */
const kernelsOf: readonly (readonly [RegExp, string])[] = [
  [/^x?python|^conda|^pypy|^sagemath/, 'Python'],
  [/^x?r$|^ir\b|^irkernel/, 'R'],
  [/^julia/, 'Julia'],
  [/^bash|^zsh|^fish|^calysto_bash/, 'a shell'],
  [/^scala|^almond|^spylon/, 'Scala'],
  [/^rust|^evcxr/, 'Rust'],
  [/^gophernotes|^gonb|^go$/, 'Go'],
  [/^javascript|^jslab|^nodejs|^xjavascript/, 'JavaScript'],
  [/^\.net-csharp|^csharp|^c#/, 'C#'],
  [/^\.net-fsharp|^fsharp|^f#/, 'F#'],
  [/^x?cpp|^xcling|^c\+\+|^clang/, 'C++'],
  [/^x?sql|^x?sqlite/, 'SQL'],
  [/^matlab|^octave/, 'MATLAB'],
  [/^x?lua|^ruby|^iruby|^java$|^ijava|^kotlin|^haskell|^ihaskell|^perl|^iperl|^php/, 'another language'],
];

function byKernel(name: unknown): string | undefined {
  const text = typeof name === 'string' ? name.toLowerCase() : '';
  return kernelsOf.find(([pattern]) => pattern.test(text))?.[1];
}

function isTypeScript(language: string): boolean {
  return ['typescript', 'ts', 'tsx', 'typescriptreact', '.ts', '.tsx'].includes(language.toLowerCase());
}

/**
 * The language of a notebook that is not written in TypeScript; undefined where nothing says so. Jupyter names the
 * language in `kernelspec`, VS Code in `language_info`, and for single cells in the cell; what only names a kernel counts
 * where nothing names a language.
 */
export function foreignLanguage({ metadata, cells }: Notebook): string | undefined {
  const spec = metadata.kernelspec;
  const info = (metadata.language_info ?? {}) as Record<string, unknown>;
  const named = [spec?.language, info.name, info.file_extension, metadata.language].filter(
    (one): one is string => typeof one === 'string' && one !== '',
  );
  const other = named.find((one) => !isTypeScript(one));
  if (other !== undefined) return other;
  const kernel = named.length === 0 ? (byKernel(spec?.name) ?? byKernel(spec?.display_name)) : undefined;
  if (kernel !== undefined) return kernel;
  for (const [i, { cell_type: type, metadata: own }] of cells.entries()) {
    const { languageId } = (own.vscode ?? {}) as { languageId?: unknown };
    if (type === 'code' && typeof languageId === 'string' && !isTypeScript(languageId))
      return `${languageId} (in cell ${i + 1})`;
  }
  return undefined;
}
