/**
 * tslab exports what a cell declares by a line `export {a, b}` at its end, with the names as the compiler keeps them:
 * `___dirname` for `__dirname`, `__global` for `declare global`, `"x"` for `declare module "x"`.
 */
import { ts } from './typescript';

/** The last line of a cell that tslab has extended. */
const exportLine = /\nexport \{([^{}]*)\}$/;
/** What a name looks like: other keys stand for declarations without one. */
const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;

/** The text of a cell whose last line has the names as the cell writes them, and only those. */
export function exportedByName(text: string): string {
  return text.replace(exportLine, (_, keys: string) => {
    const names = keys
      .split(', ')
      .filter((key) => identifier.test(key) && !/^__(?!_)/.test(key))
      .map((key) => ts.unescapeLeadingUnderscores(key as Parameters<typeof ts.unescapeLeadingUnderscores>[0]));
    return `\nexport {${names.join(', ')}}`;
  });
}
