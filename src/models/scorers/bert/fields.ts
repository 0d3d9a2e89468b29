/** Reading a published `config.json` field by field: everything that is missing or of the wrong kind is said at once. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ACTIVATIONS } from '../../../nn/activations';

/** A configuration that cannot be used: the file, and every field at fault with what was expected. */
export class ScorerConfigError extends Error {
  override readonly name = 'ScorerConfigError';
}

type Json = Readonly<Record<string, unknown>>;

/**
 * One object of a configuration. Each getter gives the field, or `fallback` where the file leaves it out (older files
 * leave out what equals upstream's default), and notes what is wrong; {@link ConfigFields.check} reports it.
 */
export class ConfigFields {
  private constructor(
    private readonly source: Json,
    private readonly file: string,
    private readonly prefix: string,
    private readonly faults: string[],
  ) {}

  /** The `config.json` of a folder. @throws ScorerConfigError when it is missing, no JSON, or no object */
  static async read(folder: string, name = 'config.json'): Promise<ConfigFields> {
    const file = path.join(folder, name);
    try {
      return ConfigFields.of(JSON.parse(await readFile(file, 'utf8')), file);
    } catch (error) {
      if (error instanceof ScorerConfigError) throw error;
      throw new ScorerConfigError(`${file} cannot be read as a configuration: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** A parsed configuration. @param where named in errors @throws ScorerConfigError when it is no object */
  static of(source: unknown, where: string): ConfigFields {
    if (typeof source !== 'object' || source === null || Array.isArray(source))
      throw new ScorerConfigError(`${where}: expected a JSON object`);
    return new ConfigFields(source as Json, where, '', []);
  }

  /** The object under a name; an empty one where the file has none, so that defaults serve. */
  inner(name: string): ConfigFields {
    const value = this.source[name] ?? {};
    const found = typeof value === 'object' && !Array.isArray(value);
    if (!found) this.faults.push(`${this.prefix}${name} is ${JSON.stringify(value)}, expected an object`);
    return new ConfigFields(found ? (value as Json) : {}, this.file, `${this.prefix}${name}.`, this.faults);
  }

  /** Whether the file says anything under that name. */
  has(name: string): boolean {
    return this.source[name] != null;
  }

  /** An integer of at least 1. */
  size(name: string, fallback?: number): number {
    const right = (v: unknown): boolean => Number.isInteger(v) && (v as number) >= 1;
    return this.take(name, fallback, 'a positive integer', right, 1);
  }

  /** A token number: an integer of at least 0. */
  id(name: string, fallback?: number): number {
    return this.take(name, fallback, 'a token number', (v) => Number.isInteger(v) && (v as number) >= 0, 0);
  }

  /** A number of at least 0. */
  number(name: string, fallback?: number): number {
    return this.take(name, fallback, 'a number of at least 0', (v) => Number.isFinite(v) && (v as number) >= 0, 0);
  }

  flag(name: string, fallback?: boolean): boolean {
    return this.take(name, fallback, 'true or false', (v) => typeof v === 'boolean', false);
  }

  /** The name of an activation that is known here. */
  activation(name: string, fallback = 'gelu'): string {
    const right = (v: unknown): boolean => typeof v === 'string' && ACTIVATIONS.includes(v);
    return this.take(name, fallback, `one of ${ACTIVATIONS.join(', ')}`, right, 'gelu');
  }

  /** Notes a fault where a field that may be left out has another value than the only one that is built here. */
  only(name: string, value: string | boolean, why: string): void {
    const found = this.source[name] ?? value;
    if (found !== value) this.fault(`${name} is ${JSON.stringify(found)}; only ${JSON.stringify(value)} ${why}`);
  }

  /** The text under a name, if there is one. */
  text(name: string): string | undefined {
    const value = this.source[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** Notes a fault that concerns more than one field. */
  fault(what: string): void {
    this.faults.push(`${this.prefix}${what}`);
  }

  /** @throws ScorerConfigError with everything that was noted, this object's and all inner ones' */
  check(): void {
    if (this.faults.length > 0)
      throw new ScorerConfigError(`${this.file} cannot be used:\n  ${this.faults.join('\n  ')}`);
  }

  private take<T>(name: string, fallback: T | undefined, kind: string, right: (v: unknown) => boolean, none: T): T {
    const value = this.source[name] ?? fallback;
    if (right(value)) return value as T;
    const found = value === undefined ? 'missing' : JSON.stringify(value);
    this.faults.push(`${this.prefix}${name} is ${found}, expected ${kind}`);
    return none;
  }
}
