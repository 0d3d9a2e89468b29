/** From any value to its MIME bundle. */
import {
  type Displayable,
  isDisplayable,
  jupyterDisplay,
  type MimeBundle,
  plainBundle,
  storableBundle,
} from './bundle';
import { imageGrid } from './grid';
import { isImageTensor, isImage, isTensor, type ImageInput } from './images';
import { isVegaLite, vegaPlot } from './plot';
import { isFrame, tableView } from './table';
import { tensorView } from './tensor';

/**
 * The view of a value that is shown richly with no call at all: its own (`Symbol.for('Jupyter.display')`), an image or
 * a list of them, an image tensor, any other tensor, a vega-lite specification, a danfo.js DataFrame. Tensors are read
 * here, at once. @returns undefined for everything else
 */
export function viewOf(value: unknown): Displayable | undefined {
  if (typeof value !== 'object' && typeof value !== 'function') return undefined;
  if (value === null) return undefined;
  if (holds(value, isFrame)) return tableView(value);
  if (holds(value, isDisplayable)) return value;
  if (holds(value, isImage)) return imageGrid(value);
  if (holds(value, isTensor)) return isImageTensor(value) ? imageGrid(value) : tensorView(value);
  if (holds(value, isVegaLite)) return vegaPlot(value);
  return holds(value, isImageList) ? imageGrid(value) : undefined;
}

function isImageList(value: unknown): value is ImageInput[] {
  if (!Array.isArray(value) || value.length === 0) return false;
  const list = value as unknown[];
  return list.every((one) => isImage(one) || (isTensor(one) && one.shape.length >= 3 && isImageTensor(one)));
}

/** Whether a value is of some kind. A value that throws when it is looked at (a getter, a proxy) is of none. */
function holds<T>(value: unknown, isKind: (value: unknown) => value is T): value is T {
  try {
    return isKind(value);
  } catch {
    return false;
  }
}

/**
 * Starts rendering a value: what must be read now (tensors) is read before this returns.
 * @returns the bundle, always with a `text/plain` twin; rejected where a value's own display method fails
 */
export function renderBundle(value: unknown): Promise<MimeBundle> {
  let view: Displayable | undefined;
  try {
    view = viewOf(value);
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }
  if (!view) return Promise.resolve(plainBundle(value));
  return completed(view);
}

async function completed(view: Displayable): Promise<MimeBundle> {
  const bundle: unknown = await view[jupyterDisplay]();
  if (typeof bundle !== 'object' || bundle === null || Array.isArray(bundle)) {
    throw new TypeError(
      `[Symbol.for('Jupyter.display')]() must return an object from MIME type to content, it returned ${typeof bundle}`,
    );
  }
  const storable = storableBundle(bundle as MimeBundle);
  if ('text/plain' in storable) return storable;
  return { ...storable, 'text/plain': twin(view, Object.keys(storable)) };
}

/** A text for bundles that bring none: the object's own words where it has some. */
function twin(view: Displayable, types: readonly string[]): string {
  const own = (view as { toString?: () => string }).toString;
  if (typeof own === 'function' && own !== Object.prototype.toString && own !== Function.prototype.toString)
    return own.call(view);
  return `[${view.constructor?.name ?? 'display'}: ${types.join(', ')}]`;
}
