/** Parts of an algorithm, found by name, so that a recipe or a command line can choose one. */
export class Registry<T> {
  private readonly parts = new Map<string, T>();

  /** @param kind what the parts are, for errors: "advantage", "surrogate" */
  constructor(readonly kind: string) {}

  /** Adds a part, also one of yours. @throws Error when the name is taken */
  register(name: string, part: T): T {
    if (this.parts.has(name)) throw new Error(`already registered: ${this.kind} '${name}'`);
    this.parts.set(name, part);
    return part;
  }

  /** @throws RangeError listing the known names */
  get(name: string): T {
    const part = this.parts.get(name);
    if (part === undefined)
      throw new RangeError(`there is no ${this.kind} named '${name}'; there are ${this.names().join(', ')}`);
    return part;
  }

  /** All known names, in the order in which they were registered. */
  names(): string[] {
    return [...this.parts.keys()];
  }
}
