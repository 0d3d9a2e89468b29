/** Plots: any vega-lite specification. */
import sharp from 'sharp';
import { Display, type MimeBundle } from './bundle';
import { plainText } from './html';

/** A vega-lite specification: plain data, see https://vega.github.io/vega-lite/docs/. */
export type VegaLiteSpec = Readonly<Record<string, unknown>>;

export const vegaLiteSchema = 'https://vega.github.io/schema/vega-lite/v5.json';

/** Whether a value is a vega-lite specification with its `$schema` named. */
export function isVegaLite(value: unknown): value is VegaLiteSpec {
  const address = (value as { $schema?: unknown } | null)?.$schema;
  return typeof address === 'string' && /^https?:\/\/[^ ]*\/vega-lite\//.test(address);
}

/** No fetching while rendering: a specification holds its data itself (model output must not reach the network). */
const closedLoader = {
  load: (uri: string): Promise<string> =>
    Promise.reject(new Error(`a plot's data must stand in its specification; it asks for ${uri}`)),
  sanitize: (uri: string): Promise<{ href: string }> => Promise.resolve({ href: uri.startsWith('#') ? uri : '#' }),
  http: (uri: string): Promise<string> => Promise.reject(new Error(`not fetched: ${uri}`)),
  file: (name: string): Promise<string> => Promise.reject(new Error(`not read: ${name}`)),
};

/**
 * A specification drawn as SVG, without a browser.
 * @throws Error with vega's message for a specification that it cannot draw
 */
export async function svgOf(spec: VegaLiteSpec): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')]);
  const quiet = { level: () => quiet, error: () => quiet, warn: () => quiet, info: () => quiet, debug: () => quiet };
  const compiled = vegaLite.compile(
    { background: 'white', ...spec } as unknown as Parameters<typeof vegaLite.compile>[0],
    {
      logger: quiet as unknown as NonNullable<Parameters<typeof vegaLite.compile>[1]>['logger'],
    },
  );
  const view = new vega.View(vega.parse(compiled.spec), {
    renderer: 'none',
    loader: closedLoader as unknown as ReturnType<typeof vega.loader>,
    logLevel: vega.Error,
  });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** PNG bytes of an SVG, at 1.5 times its size. */
export async function pngOfSvg(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: 108 }).png({ compressionLevel: 9 }).toBuffer();
}

function titleOf(spec: VegaLiteSpec): string {
  const { title } = spec as { title?: unknown };
  if (typeof title === 'string') return title;
  const text = (title as { text?: unknown } | undefined)?.text;
  return typeof text === 'string' ? text : '';
}

function rowsOf(spec: VegaLiteSpec): readonly Record<string, unknown>[] {
  const values = (spec as { data?: { values?: unknown } }).data?.values;
  return Array.isArray(values) ? (values as Record<string, unknown>[]) : [];
}

/**
 * A vega-lite specification as an interactive plot (`application/vnd.vegalite.v5+json`), with an SVG and a PNG twin for
 * viewers without vega.
 * @param text what a terminal shows; default: the title and how many rows of data there are
 * @param drawn what the twins are drawn from: the same picture of fewer points; default: the specification itself
 */
export function vegaPlot(spec: VegaLiteSpec, text?: string, drawn?: VegaLiteSpec): Display {
  const own = structuredClone(spec) as Record<string, unknown>; // the caller's data may go on growing
  const rows = rowsOf(own).length;
  const said = text ?? `${titleOf(own) || 'plot'}${rows ? ` (${rows} data points)` : ''}`;
  return new Display(plainText(said), async (): Promise<MimeBundle> => {
    const svg = await svgOf(drawn ?? own);
    return {
      'application/vnd.vegalite.v5+json': { ...own, $schema: vegaLiteSchema },
      'image/svg+xml': svg,
      'image/png': (await pngOfSvg(svg)).toString('base64'),
    };
  });
}
