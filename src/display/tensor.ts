/** Tensors: dtype, shape, a summary of their values, and the values themselves where they are few. */
import { Display, type MimeBundle } from './bundle';
import { html } from './html';
import type { TensorLike } from './images';

/** Up to this many values are printed in full. */
const small = 256;

function number(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(3) : value.toPrecision(5).replace(/\.?0+$/, '');
}

/** Values in rows, as nested brackets. */
function nested(values: readonly string[], shape: readonly number[], indent = 0): string {
  if (shape.length === 0) return values[0];
  const [length, ...rest] = shape;
  const each = values.length / Math.max(length, 1);
  const parts = Array.from({ length }, (_, i) => nested(values.slice(i * each, (i + 1) * each), rest, indent + 1));
  return rest.length === 0 ? `[${parts.join(', ')}]` : `[${parts.join(`,\n${' '.repeat(indent + 1)}`)}]`;
}

interface Summary {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
  readonly bad: number;
}

/** Over the finite values, by Welford's method; `bad` counts NaN and infinities. */
function summary(values: ArrayLike<number>): Summary {
  let [min, max, mean, squares, n] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (!Number.isFinite(value)) continue;
    n += 1;
    if (value < min) min = value;
    if (value > max) max = value;
    const delta = value - mean;
    mean += delta / n;
    squares += delta * (value - mean);
  }
  return { min, max, mean, std: n ? Math.sqrt(squares / n) : NaN, bad: values.length - n };
}

/**
 * A tensor's dtype, shape, and least, greatest and mean value with the standard deviation; all values where there are
 * at most 256. NaN and infinite values are counted and named. The tensor is read at once and may be disposed afterwards.
 */
export function tensorView(tensor: TensorLike): Display {
  const head = `${tensor.dtype} [${tensor.shape.join(', ')}]`;
  const values = tensor.dataSync();
  const lines: string[] = [];
  if (tensor.dtype !== 'string' && tensor.size > 1) {
    const { min, max, mean, std, bad } = summary(values as ArrayLike<number>);
    if (bad < tensor.size)
      lines.push(`min ${number(min)} · max ${number(max)} · mean ${number(mean)} · std ${number(std)}`);
    if (bad) lines.push(`${bad} of ${tensor.size} values are NaN or infinite`);
  }
  if (tensor.size === 0) lines.push('no values');
  else if (tensor.size <= small) {
    const printed = Array.from(values, (value) => (typeof value === 'string' ? JSON.stringify(value) : number(value)));
    lines.push(nested(printed, tensor.shape));
  } else {
    const first = Array.from({ length: 8 }, (_, i) => values[i]);
    lines.push(
      `first values: ${first.map((value) => (typeof value === 'string' ? JSON.stringify(value) : number(value))).join(', ')}, …`,
    );
  }
  const text = [`tensor ${head}`, ...lines].join('\n');
  return new Display(text, (): MimeBundle => ({
    'text/html': html`<div>
      <b>tensor</b> <code>${head}</code>
      <pre style="margin:2px 0">${lines.join('\n')}</pre>
    </div>`.markup,
  }));
}
