/** Lists of texts as Python prints them: `['a', "it's"]`. Published tables keep them in one field. */

/** @returns undefined for what is no list of texts */
export function pythonTexts(source: string): string[] | undefined {
  const inside = /^\s*\[([\s\S]*)\]\s*$/.exec(source)?.[1];
  if (inside === undefined) return undefined;
  const item = /\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(,|$)/gy;
  const texts: string[] = [];
  while (item.lastIndex < inside.length) {
    if (inside.slice(item.lastIndex).trim() === '') break;
    const found = item.exec(inside);
    if (!found) return undefined;
    texts.push(unescaped(found[1] ?? found[2]));
  }
  return texts;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

const unescaped = (text: string): string =>
  text.replace(/\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|([\s\S]))/gi, (_, x?: string, u?: string, one?: string) => {
    const code = x ?? u;
    return code === undefined ? (escapes[one ?? ''] ?? one ?? '') : String.fromCharCode(parseInt(code, 16));
  });
