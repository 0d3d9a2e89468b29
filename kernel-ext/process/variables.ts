/** The variables of a notebook: tslab's code reads and writes them as properties of `exports`. */

/** One cell's way to the variables. */
export class CellVariables {
  /** Names that got a value from this cell. */
  private readonly assigned = new Set<string>();
  /** The value of the cell's last expression. */
  result?: { readonly value: unknown };
  /** What the cell's code has as `exports`. */
  readonly exports: object;
  private resultName?: string;
  private ended = false;
  private ignored: ReadonlySet<string> = new Set();

  constructor(private readonly values: Record<string, unknown>) {
    this.exports = new Proxy(values, {
      set: (_, name, value) => this.assign(name as string, value),
      // An import is written as a property with a getter. The value is stored, so that later cells can redeclare the name.
      defineProperty: (_, name, property) =>
        this.assign(name as string, property.get ? (property.get() as unknown) : property.value),
    });
  }

  /** The cell is compiled. @param resultName the variable in which the code puts the value of its last expression */
  begin(resultName: string | undefined): void {
    this.resultName = resultName;
  }

  /**
   * The cell has ended. What it left behind may run on.
   * @param declared names that the cell was to give a value
   * @param whole whether it ran to its end. Where it did not, names without a value are not its own from now on: they
   *   may have a value and a type from an earlier cell
   * @returns those names
   */
  end(declared: readonly string[], whole: boolean): ReadonlySet<string> {
    // What the cell leaves behind must not keep the value.
    this.ended = true;
    this.result = undefined;
    const missing = declared.filter((name) => !this.assigned.has(name));
    if (whole) for (const name of missing) this.values[name] = undefined;
    else this.ignored = new Set(missing);
    return this.ignored;
  }

  private assign(name: string, value: unknown): true {
    if (name === '__esModule' || this.ignored.has(name)) return true;
    if (name === this.resultName) {
      if (!this.ended) this.result = { value };
      return true;
    }
    this.assigned.add(name);
    this.values[name] = value;
    return true;
  }
}

/** The variables of all cells. */
export class Variables {
  private readonly values = Object.create(null) as Record<string, unknown>;

  /** A new cell's way to them, which the code that is run next gets. */
  forCell(): CellVariables {
    const cell = new CellVariables(this.values);
    const { __tslab__: given } = globalThis as { __tslab__?: { exports: object } };
    if (given) given.exports = cell.exports;
    return cell;
  }
}
