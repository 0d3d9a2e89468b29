/** Parameters from the command line: a cell put behind the one tagged `parameters`. */
import { randomBytes } from 'node:crypto';
import { hasTag, type Notebook } from './notebook';

export type Parameters = ReadonlyMap<string, unknown>;

/**
 * Reads `name=value` pairs. A value that is JSON (`3`, `true`, `"text"`, `[1, 2]`) is taken as such, anything else as text.
 * @throws Error for a pair without `=`, or a name that is no identifier
 */
export function parseParameters(pairs: readonly string[]): Parameters {
  const parameters = new Map<string, unknown>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    if (at < 1 || !/^[A-Za-z_$][\w$]*$/.test(name)) {
      throw new Error(`a parameter is given as name=value, with a name that can be a variable; got '${pair}'`);
    }
    const text = pair.slice(at + 1);
    try {
      parameters.set(name, JSON.parse(text));
    } catch {
      parameters.set(name, text);
    }
  }
  return parameters;
}

/**
 * Puts the values behind the cell tagged `parameters`, in place of an earlier injected cell.
 * @throws Error where no cell has the tag, or where that cell declares no such name
 */
export function injectParameters(notebook: Notebook, parameters: Parameters): Notebook {
  if (parameters.size === 0) return notebook;
  const cells = notebook.cells.filter((cell) => !hasTag(cell, 'injected-parameters'));
  const at = cells.findIndex((cell) => cell.cell_type === 'code' && hasTag(cell, 'parameters'));
  if (at < 0) throw new Error("parameters were given, but no code cell has the tag 'parameters'");
  const declared = [...cells[at].source.matchAll(/^\s*(?:export\s+)?(?:const|let|var)\s+([A-Za-z_$][\w$]*)/gm)].map(
    (match) => match[1],
  );
  const unknown = [...parameters.keys()].filter((name) => !declared.includes(name));
  if (unknown.length) {
    throw new Error(
      `the notebook has no parameter ${unknown.join(', ')}; its parameters: ${declared.join(', ') || 'none'}`,
    );
  }
  // `let`, not `const`: the type is number, not the one number.
  const source = [
    '// parameters of this run',
    ...[...parameters].map(([name, value]) => `let ${name} = ${literal(value)};`),
  ].join('\n');
  cells.splice(at + 1, 0, {
    id: randomBytes(4).toString('hex'),
    cell_type: 'code',
    source,
    metadata: { tags: ['injected-parameters'] },
    outputs: [],
    execution_count: null,
  });
  return { ...notebook, cells };
}

/** JSON that is also TypeScript source of one line. */
function literal(value: unknown): string {
  return JSON.stringify(value).replace(/[\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
}
