/** Reading `preprocessor_config.json` as transformers writes it, now and in former versions. */
import type { Channels, ProcessorConfig } from './config';
import type { SizeRule } from './geometry';
import { PILLOW_FILTERS } from './resample';

type Json = Readonly<Record<string, unknown>>;

const CLIP_MEAN: Channels = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD: Channels = [0.26862954, 0.26130258, 0.27577711];
const HALVES: Channels = [0.5, 0.5, 0.5];
const ONES: Channels = [1, 1, 1];

const square = (side: number) => ({ height: side, width: side });
const clip = {
  size: { shortest_edge: 224 } as unknown,
  crop_size: square(224) as unknown,
  do_center_crop: true,
  resample: 3,
  rescale_factor: 1 / 255,
  image_mean: CLIP_MEAN,
  image_std: CLIP_STD,
  /** Whether one number as `size` means a square, or the shorter side. */
  one_number_is_square: false,
};

/** Upstream's classes and what they do where a file is silent. */
const classes: Readonly<Record<string, typeof clip>> = {
  CLIP: clip,
  Bit: clip,
  Blip: { ...clip, size: square(384), do_center_crop: false, one_number_is_square: true },
  ViT: {
    ...clip,
    size: square(224),
    do_center_crop: false,
    resample: 2,
    image_mean: HALVES,
    image_std: HALVES,
    one_number_is_square: true,
  },
  Siglip: {
    ...clip,
    size: square(224),
    do_center_crop: false,
    image_mean: HALVES,
    image_std: HALVES,
    one_number_is_square: true,
  },
  Janus: { ...clip, size: square(384), do_center_crop: false, one_number_is_square: true },
  // Janus's own, before transformers had it: the size is called image_size, and lengths are cut, not rounded.
  VLM: { ...clip, size: square(1024), do_center_crop: false, one_number_is_square: true },
  Chameleon: {
    ...clip,
    size: { shortest_edge: 512 },
    crop_size: square(512),
    resample: 1,
    rescale_factor: 0.0078,
    image_mean: ONES,
    image_std: ONES,
  },
};

const isPositiveInteger = (v: unknown): v is number => Number.isInteger(v) && (v as number) > 0;

/** @returns the configuration, or undefined and everything that is wrong */
export function processorConfigFromUpstream(
  json: unknown,
  fallback?: string,
): { config?: ProcessorConfig; faults: string[] } {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return { faults: ['it is no JSON object'] };
  const fields = json as Json;
  const named = fields.image_processor_type ?? fields.feature_extractor_type ?? fallback;
  const kind = typeof named === 'string' ? named.replace(/(ImageProcessor|FeatureExtractor)(Fast|Pil)?$/, '') : '';
  if (!Object.hasOwn(classes, kind)) {
    const known = Object.keys(classes).map((name) => `${name}ImageProcessor`);
    return { faults: [`image_processor_type is ${JSON.stringify(named)}, expected one of ${known.join(', ')}`] };
  }
  return read(fields, kind, classes[kind]);
}

/** Fields of a file with their defaults; what is wrong is collected. */
class Fields {
  readonly faults: string[] = [];

  constructor(readonly json: Json) {}

  wrong(field: string, expected: string): void {
    this.faults.push(`${field} is ${JSON.stringify(this.json[field])}, expected ${expected}`);
  }

  flag(field: string, fallback: boolean): boolean {
    const value = this.json[field] ?? fallback;
    if (typeof value !== 'boolean') this.wrong(field, 'true or false');
    return value === true;
  }

  number(field: string, fallback: number, right: (v: number) => boolean, expected: string): number {
    const value = this.json[field] ?? fallback;
    if (typeof value === 'number' && right(value)) return value;
    this.wrong(field, expected);
    return fallback;
  }

  /** One number stands for three equal ones. */
  channels(field: string, fallback: Channels, right: (v: number) => boolean, expected: string): Channels {
    const value = this.json[field] ?? fallback;
    const list = (typeof value === 'number' ? [value, value, value] : value) as unknown[];
    if (Array.isArray(list) && list.length === 3 && list.every((v) => typeof v === 'number' && right(v)))
      return list as unknown as Channels;
    this.wrong(field, expected);
    return fallback;
  }
}

const isFilter = (v: number) => PILLOW_FILTERS[v] !== undefined;

function read(json: Json, kind: string, defaults: typeof clip): { config?: ProcessorConfig; faults: string[] } {
  const fields = new Fields(json);
  const mean = fields.channels('image_mean', defaults.image_mean, Number.isFinite, 'three numbers');
  const std = fields.channels('image_std', defaults.image_std, (v) => v > 0, 'three positive numbers');
  const filter = fields.number('resample', defaults.resample, isFilter, 'a filter number, 0 to 5');
  const rescale = fields.number('rescale_factor', defaults.rescale_factor, Number.isFinite, 'a number');
  const janus = kind === 'Janus' || kind === 'VLM';
  const size = readSize(fields, kind, defaults);
  const crop = sizeRule(json.crop_size ?? defaults.crop_size, true);
  if (typeof crop === 'string' || !('height' in crop)) fields.wrong('crop_size', 'height and width');
  if (!janus && fields.flag('do_pad', false)) fields.wrong('do_pad', `false for ${kind}`);
  const steps = {
    resize: fields.flag('do_resize', true),
    crop: fields.flag('do_center_crop', defaults.do_center_crop) && !janus,
    pad: janus && fields.flag('do_pad', true),
    rescale: fields.flag('do_rescale', true),
    normalize: fields.flag('do_normalize', true),
  };
  const { faults } = fields;
  if (faults.length > 0 || size === undefined || typeof crop === 'string' || !('height' in crop)) return { faults };
  const config: ProcessorConfig = {
    filter: PILLOW_FILTERS[filter],
    ...(steps.resize ? { size } : {}),
    ...(steps.crop ? { crop } : {}),
    ...(steps.pad ? { background: backgroundOf(json, kind, mean) } : {}),
    ...(steps.rescale ? { rescale } : {}),
    ...(steps.normalize ? { normalize: { mean, std } } : {}),
  };
  return { config, faults };
}

/** How images are brought to their size: Janus pads to a square, the others scale. @returns undefined for a fault */
function readSize(fields: Fields, kind: string, defaults: typeof clip): SizeRule | undefined {
  const minimum = fields.number('min_size', 14, isPositiveInteger, 'a positive integer');
  const given = fields.json.size ?? (kind === 'VLM' ? fields.json.image_size : undefined) ?? defaults.size;
  const size = sizeRule(given, defaults.one_number_is_square);
  if (typeof size === 'string') {
    fields.wrong('size', size);
    return undefined;
  }
  if (kind !== 'Janus' && kind !== 'VLM') return size;
  if ('height' in size && size.height === size.width)
    return { square: size.height, min_size: minimum, cut: kind === 'VLM' };
  fields.wrong('size', 'equal height and width');
  return undefined;
}

/**
 * The color that images are padded with: upstream derives it from the mean, whatever a file says of it. Without a mean it
 * is gray, though images are then normalized by CLIP's; only Janus's own class takes CLIP's where a file has no such
 * field, and gray where the field is null (Janus-1.3B).
 */
function backgroundOf(fields: Json, kind: string, mean: Channels): Channels {
  const gray = kind === 'VLM' ? fields.image_mean === null : (fields.image_mean ?? null) === null;
  return gray ? [127, 127, 127] : (mean.map((m) => Math.trunc(m * 255)) as unknown as Channels);
}

/** @returns the rule, or what was expected instead */
function sizeRule(size: unknown, oneNumberIsSquare: boolean): SizeRule | string {
  const expected = 'a positive integer, {height, width} or {shortest_edge}';
  if (isPositiveInteger(size)) return oneNumberIsSquare ? square(size) : { shortest_edge: size };
  if (Array.isArray(size)) {
    const [height, width] = size as unknown[];
    return size.length === 2 && isPositiveInteger(height) && isPositiveInteger(width) ? { height, width } : expected;
  }
  if (typeof size !== 'object' || size === null) return expected;
  const { shortest_edge: shortest, longest_edge: longest, height, width } = size as Json;
  if (isPositiveInteger(shortest)) {
    if (longest === undefined || longest === null) return { shortest_edge: shortest };
    return isPositiveInteger(longest) ? { shortest_edge: shortest, longest_edge: longest } : expected;
  }
  return isPositiveInteger(height) && isPositiveInteger(width) ? { height, width } : expected;
}
