/**
 * A series as far as a plot of some width can show it, at the same cost for each new value however long it is: of all
 * points that fall into one column, the lowest and the highest are kept, so that no spike is lost.
 */

/** A point of a plot. */
export interface SeriesPoint {
  readonly step: number;
  readonly value: number;
  /** Mean of this value and those before it. */
  readonly average: number;
}

/** The points of one column. */
interface Column {
  count: number;
  sum: number;
  low: SeriesPoint;
  high: SeriesPoint;
}

export class ThinnedSeries {
  private columns: Column[] = [];
  private readonly window: number[] = [];
  private perColumn = 1;
  private firstPoint?: SeriesPoint;
  private lastPoint?: SeriesPoint;

  /**
   * @param most columns; up to twice as many points are kept, and two more
   * @param smooth values in the moving average
   */
  constructor(
    private readonly most: number,
    private readonly smooth: number,
  ) {}

  /** Adds a value behind the others. One that is missing or not finite is left out. */
  add(step: number, value: number | undefined): void {
    if (value === undefined || !Number.isFinite(value)) return;
    this.window.push(value);
    if (this.window.length > this.smooth) this.window.shift();
    const average = this.window.reduce((sum, one) => sum + one, 0) / this.window.length;
    const point = { step, value, average };
    this.firstPoint ??= point;
    this.lastPoint = point;
    const column = this.columns.at(-1);
    if (!column || column.count >= this.perColumn) this.begin(point);
    else include(column, { count: 1, sum: value, low: point, high: point });
  }

  private begin(point: SeriesPoint): void {
    if (this.columns.length >= this.most) {
      // Half as many columns of twice as many points: this happens more and more seldom.
      const pairs = Array.from({ length: Math.ceil(this.columns.length / 2) }, (_, i) =>
        this.columns.slice(2 * i, 2 * i + 2),
      );
      this.columns = pairs.map(([column, next]) => (next ? include(column, next) : column));
      this.perColumn *= 2;
    }
    this.columns.push({ count: 1, sum: point.value, low: point, high: point });
  }

  /** The points that are kept, in order; the first and the last one among them. */
  get points(): SeriesPoint[] {
    const { firstPoint, lastPoint } = this;
    if (!firstPoint || !lastPoint) return [];
    const edges = this.columns.flatMap(({ low, high }) => (low.step <= high.step ? [low, high] : [high, low]));
    return [...new Set([firstPoint, ...edges, lastPoint])];
  }

  /** The mean of each column. */
  get shape(): number[] {
    return this.columns.map(({ sum, count }) => sum / count);
  }

  get first(): number | undefined {
    return this.firstPoint?.value;
  }

  get last(): number | undefined {
    return this.lastPoint?.value;
  }
}

/** Takes a later column's points into one. */
function include(column: Column, later: Column): Column {
  column.count += later.count;
  column.sum += later.sum;
  if (later.low.value < column.low.value) column.low = later.low;
  if (later.high.value > column.high.value) column.high = later.high;
  return column;
}
