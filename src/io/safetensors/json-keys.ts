/** Finding a key that a JSON object has twice, which `JSON.parse` hides by keeping the last. */

export interface DuplicateKey {
  readonly key: string;
  /** 1 for the outermost object's keys. */
  readonly depth: number;
  /** The outermost key under which it stands; undefined at depth 1. */
  readonly within?: string;
}

/** @param text valid JSON @returns the first key that its object already has, if any */
export function findDuplicateKey(text: string): DuplicateKey | undefined {
  const seen: Set<string>[] = []; // one set an open bracket; an array's stays empty
  let outermost: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{' || c === '[') seen.push(new Set());
    else if (c === '}' || c === ']') seen.pop();
    else if (c === '"') {
      const start = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
      if (!followedByColon(text, i + 1)) continue;
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      const keys = seen[seen.length - 1];
      if (keys.has(key)) return { key, depth: seen.length, within: seen.length > 1 ? outermost : undefined };
      keys.add(key);
      if (seen.length === 1) outermost = key;
    }
  }
  return undefined;
}

function followedByColon(text: string, from: number): boolean {
  let i = from;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++;
  return text[i] === ':';
}
