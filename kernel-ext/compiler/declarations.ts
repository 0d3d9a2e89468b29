/**
 * What cells have declared, as the declaration file that the next cell is checked against. A later declaration of a
 * name takes the place of an earlier one, values and types apart, as in `interface Box {}` beside `const Box = 1`.
 */
import type * as TypeScript from 'typescript';
import { ts } from './typescript';

/** What a name stands for, as bits: a class stands for both. */
export const meanings = { none: 0, value: 1, type: 2, both: 3 } as const;
export type Meaning = (typeof meanings)[keyof typeof meanings];

/** One name's part of a declaration file. What has no name (`declare global`) is kept once. */
export interface Part {
  readonly name?: string;
  readonly meaning: Meaning;
  readonly text: string;
}

/** What a compiled cell declares. */
export interface CellDeclarations {
  readonly parts: readonly Part[];
  /** Names that are declared with `declare`: no code gives them a value. */
  readonly ambient: ReadonlySet<string>;
}

/** What a cell declares. @param text its declaration file */
export function declarationsOf(
  cell: TypeScript.SourceFile,
  text: string,
  checker: TypeScript.TypeChecker,
): CellDeclarations {
  const locals =
    (cell as { locals?: ReadonlyMap<TypeScript.__String, TypeScript.Symbol> }).locals ??
    new Map<TypeScript.__String, TypeScript.Symbol>();
  const symbol = (name: string): TypeScript.Symbol | undefined => locals.get(ts.escapeLeadingUnderscores(name));
  const importMeaning = (name: string): Meaning => {
    const imported = symbol(name);
    const flags = imported ? checker.getAliasedSymbol(imported).flags : 0;
    const isType = (flags & ts.SymbolFlags.Type) !== 0;
    if (flags & ts.SymbolFlags.Value) return isType ? meanings.both : meanings.value;
    return isType ? meanings.type : meanings.both;
  };
  const isAmbient = ({ declarations = [] }: TypeScript.Symbol): boolean =>
    declarations.every((one) => (ts.getCombinedModifierFlags(one) & ts.ModifierFlags.Ambient) !== 0);
  const ambient = new Set<string>();
  locals.forEach((one) => {
    if (isAmbient(one)) ambient.add(ts.unescapeLeadingUnderscores(one.escapedName));
  });
  const parts = partsOf(text, (name) => symbol(name) !== undefined, importMeaning);
  const named = new Set(parts.map(({ name }) => name));
  locals.forEach((one) => {
    // TypeScript leaves out a `var` in a block, which is a variable of the whole cell.
    const name = ts.unescapeLeadingUnderscores(one.escapedName);
    if (named.has(name) || ambient.has(name) || !(one.flags & ts.SymbolFlags.FunctionScopedVariable)) return;
    const type = checker.typeToString(
      checker.getTypeOfSymbolAtLocation(one, cell),
      cell,
      ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope,
    );
    parts.push({ name, meaning: meanings.value, text: `declare let ${name}: ${type};\n` });
  });
  return { parts, ambient };
}

/**
 * The parts of a cell's declaration file, one for each name.
 * @param isOwn whether the cell itself declares a name; TypeScript adds `A_base` for the base of a class `A`
 * @param importMeaning what an imported name stands for
 */
function partsOf(
  declarations: string,
  isOwn: (name: string) => boolean,
  importMeaning: (name: string) => Meaning,
): Part[] {
  const file = ts.createSourceFile('cell.d.ts', declarations, ts.ScriptTarget.Latest);
  const parts: Part[] = [];
  let prefix = '';
  for (const statement of file.statements) {
    for (const part of split(statement, file, importMeaning)) {
      // What TypeScript adds stands before its class, and stays and goes with it.
      const added = part.name !== undefined && !isOwn(part.name);
      if (added) prefix += part.text;
      else parts.push({ ...part, text: prefix + part.text });
      if (!added) prefix = '';
    }
  }
  return parts;
}

function split(
  statement: TypeScript.Statement,
  file: TypeScript.SourceFile,
  importMeaning: (name: string) => Meaning,
): Part[] {
  const whole = `${statement.getFullText(file).trim()}\n`;
  if (ts.isVariableStatement(statement)) return variables(statement, file);
  if (ts.isImportDeclaration(statement)) return imports(statement, file, importMeaning);
  if (ts.isFunctionDeclaration(statement))
    return [{ name: statement.name?.text, meaning: meanings.value, text: whole }];
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement))
    return [{ name: statement.name.text, meaning: meanings.type, text: whole }];
  if (ts.isImportEqualsDeclaration(statement)) {
    const name = statement.name.text;
    return [{ name, meaning: importMeaning(name), text: whole }];
  }
  const named =
    ts.isClassDeclaration(statement) ||
    ts.isEnumDeclaration(statement) ||
    (ts.isModuleDeclaration(statement) && !(statement.flags & ts.NodeFlags.GlobalAugmentation));
  const name = named && statement.name && ts.isIdentifier(statement.name) ? statement.name.text : undefined;
  return [{ name, meaning: meanings.both, text: whole }];
}

function variables(statement: TypeScript.VariableStatement, file: TypeScript.SourceFile): Part[] {
  const { declarationList } = statement;
  const isConst = (declarationList.flags & ts.NodeFlags.Const) !== 0;
  const comment = file.text.slice(statement.pos, statement.getStart(file)).trim();
  return declarationList.declarations.map((declaration) => ({
    name: (declaration.name as TypeScript.Identifier).text,
    meaning: meanings.value,
    text: `${comment && `${comment}\n`}declare ${isConst ? 'const' : 'let'} ${declaration.getText(file)};\n`,
  }));
}

function imports(
  statement: TypeScript.ImportDeclaration,
  file: TypeScript.SourceFile,
  importMeaning: (name: string) => Meaning,
): Part[] {
  const { importClause: clause, moduleSpecifier, attributes } = statement;
  const from = `${moduleSpecifier.getText(file)}${attributes ? ` ${attributes.getText(file)}` : ''};\n`;
  if (!clause) return [{ meaning: meanings.none, text: `import ${from}` }];
  const part = (name: string, bindings: string): Part => ({
    name,
    meaning: importMeaning(name),
    text: `import ${clause.isTypeOnly ? 'type ' : ''}${bindings} from ${from}`,
  });
  const parts: Part[] = [];
  const { name, namedBindings } = clause;
  if (name) parts.push(part(name.text, name.text));
  if (namedBindings && ts.isNamespaceImport(namedBindings))
    parts.push(part(namedBindings.name.text, namedBindings.getText(file)));
  if (namedBindings && ts.isNamedImports(namedBindings))
    for (const one of namedBindings.elements) parts.push(part(one.name.text, `{ ${one.getText(file)} }`));
  return parts;
}

/** The declarations of all cells so far. */
export class Declarations {
  private parts: readonly Part[] = [];
  private joined = '';

  /** The declaration file for the next cell. */
  get text(): string {
    return this.joined;
  }

  /**
   * Adds what a cell declared.
   * @param missing names that it was to give a value and did not: there, earlier declarations still count
   */
  add({ parts }: CellDeclarations, missing: ReadonlySet<string>): void {
    const added = parts.filter(({ name }) => name === undefined || !missing.has(name));
    if (added.length === 0) return;
    this.parts = this.merged(added);
    this.joined = this.parts.map(({ text }) => text).join('');
  }

  /** Adds a variable that got its value by other means than a cell: of any type. */
  addValue(name: string): void {
    const parts = [{ name, meaning: meanings.value, text: `declare let ${name}: any;\n` }];
    this.add({ parts, ambient: new Set() }, new Set());
  }

  /** The declaration file with what a cell declares that has not ended. */
  textWith(cell: CellDeclarations | undefined): string {
    return cell
      ? this.merged(cell.parts)
          .map(({ text }) => text)
          .join('')
      : this.joined;
  }

  private merged(added: readonly Part[]): Part[] {
    const taken = new Map<string, number>();
    for (const { name, meaning } of added) if (name !== undefined) taken.set(name, (taken.get(name) ?? 0) | meaning);
    const texts = new Set(added.filter(({ name }) => name === undefined).map(({ text }) => text));
    const earlier = this.parts.filter((part) => part.name !== undefined || !texts.has(part.text));
    return [...added, ...remaining(earlier, (name) => taken.get(name) ?? meanings.none)];
  }
}

/** What is left of earlier parts under new declarations. */
function remaining(parts: readonly Part[], taken: (name: string) => number): Part[] {
  const left: Part[] = [];
  const halves: string[] = [];
  for (const part of parts) {
    const { name, meaning } = part;
    if (name === undefined || (meaning & taken(name)) === 0) left.push(part);
    // A class whose name now is a type of its own: its value is still there, but nothing names its type.
    else if (meaning === meanings.both && taken(name) === meanings.type) halves.push(name);
  }
  const valued = new Set(left.filter(({ meaning }) => meaning & meanings.value).map(({ name }) => name));
  for (const name of new Set(halves))
    if (!valued.has(name)) left.push({ name, meaning: meanings.value, text: `declare let ${name}: any;\n` });
  return left;
}
