/** The sources that clients see: cells by the hash of their text, local files by their path; and V8's scripts of them. */
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CodeMap } from '../compiler/code-map';
import { packageRoot } from '../compiler/package-paths';
import type { LanguageLink } from '../threads/language-link';
import type { CompiledCode } from '../threads/thread-messages';
import type { Location } from './inspector';
import { murmur2 } from './murmur2';

/** How clients name cells: prefix, hash of the source with this seed, suffix. Another process has another prefix. */
export const cellNames = {
  seed: 0x756e6962,
  prefix: path.join(tmpdir(), `unilab_${process.pid}`) + path.sep,
  suffix: '.ts',
} as const;

/** A script of V8's, and the source that it came from. */
export interface Script {
  readonly id: string;
  /** The code's name, as in stack traces. */
  readonly name: string;
  /** The path of its source. */
  readonly path: string;
}

/** The name of code by the URL that V8 has for its script; undefined where it cannot be people's code. */
function codeName(url: string): string | undefined {
  if (url === '' || url.startsWith('node:') || url.includes('/node_modules/')) return undefined;
  const name = url.startsWith('file:') ? fileURLToPath(url) : url;
  return name.startsWith(path.join(packageRoot, 'kernel-ext')) || name.startsWith(path.join(packageRoot, 'dist'))
    ? undefined
    : name;
}

export class Sources {
  private readonly maps = new CodeMap();
  private readonly texts = new Map<string, string>();
  private readonly urls = new Map<string, string>();
  private readonly scripts = new Map<string, Script | undefined>();

  constructor(private readonly language: LanguageLink) {}

  /** V8 tells of a script. */
  parsed(scriptId: string, url: string): void {
    this.urls.set(scriptId, url);
  }

  /** V8 has this script no more. */
  forget(scriptId: string): void {
    this.urls.delete(scriptId);
    this.scripts.delete(scriptId);
  }

  /** The session with V8 has ended. */
  forgetScripts(): void {
    this.urls.clear();
    this.scripts.clear();
  }

  /** Keeps a cell's source. @returns the path by which clients name it */
  dump(text: string): string {
    const place = `${cellNames.prefix}${murmur2(text, cellNames.seed)}${cellNames.suffix}`;
    this.texts.set(place, text);
    return place;
  }

  /** The text of a source. @throws Error where there is none */
  text(place: string): string {
    return this.texts.get(place) ?? readFileSync(place, 'utf8');
  }

  /** Learns where a script came from; undefined where people did not write it. */
  async script(id: string, url = this.urls.get(id)): Promise<Script | undefined> {
    if (this.scripts.has(id)) return this.scripts.get(id);
    const name = codeName(url ?? '');
    const place = name === undefined ? undefined : await this.learn(name);
    const script = name === undefined || place === undefined ? undefined : { id, name, path: place };
    this.scripts.set(id, script);
    return script;
  }

  /** Learns the maps of code. @returns the path of its source */
  private async learn(name: string): Promise<string | undefined> {
    const code = await this.language.ask<CompiledCode | undefined>({ type: 'code', name });
    if (!code) return undefined;
    const { options, first, second } = code;
    const secondMap = second === undefined ? undefined : await this.language.ask<string>({ type: 'map', map: second });
    const makeSecond = secondMap === undefined ? undefined : () => secondMap;
    this.maps.add(name, first === undefined ? undefined : { first, second: makeSecond }, options);
    return options.cell ? this.dump(options.cell.source) : name;
  }

  /** All scripts of a source that V8 knows by now. */
  async scriptsOf(place: string): Promise<Script[]> {
    await Promise.all([...this.urls.keys()].map((id) => this.script(id)));
    return [...this.scripts.values()].filter((script): script is Script => script?.path === place);
  }

  /** Which line of which source a place is on; undefined where nobody wrote what is there. The script must be known. */
  readonly origin = (at: Location): { readonly path: string; readonly line: number } | undefined => {
    const script = this.scripts.get(at.scriptId);
    const line = script && this.maps.writtenLine(script.name, at.lineNumber + 1, (at.columnNumber ?? 0) + 1);
    return line === undefined ? undefined : { path: script?.path ?? '', line };
  };

  /** Whether a place is in a script that came from people's code, also where nobody wrote that part of it. */
  isKnown(scriptId: string): boolean {
    return this.scripts.get(scriptId) !== undefined;
  }

  /** How stack traces call a place's code. */
  name(scriptId: string): string {
    return this.scripts.get(scriptId)?.name ?? '';
  }

  /**
   * Where V8 will have a line of a local file that is not loaded yet.
   * @param name the code's name
   * @returns the file's URL, and the line from 0; undefined where there is no such line
   */
  async placeAhead(
    name: string,
    place: string,
    line: number,
  ): Promise<{ url: string; lineNumber: number } | undefined> {
    if ((await this.learn(name)) !== place) return undefined;
    const lineNumber = this.maps.firstLineFor(name, line);
    return lineNumber === undefined ? undefined : { url: pathToFileURL(name).href, lineNumber: lineNumber - 1 };
  }
}
