/** Reading `preprocessor_config.json` as transformers writes it, now and in former versions. */
import type { SizeRule } from './geometry';
import type { ProcessorConfig } from './processor';
import { PILLOW_FILTERS } from './resample';

type Json = Readonly<Record<string, unknown>>;
type Channels = readonly [number, number, number];

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

function read(fields: Json, kind: string, defaults: typeof clip): { config?: ProcessorConfig; faults: string[] } {
  const faults: string[] = [];
  const wrong = (field: string, expected: string): void => {
    faults.push(`${field} is ${JSON.stringify(fields[field])}, expected ${expected}`);
  };
  const flag = (field: string, fallback: boolean): boolean => {
    const value = fields[field] ?? fallback;
    if (typeof value !== 'boolean') wrong(field, 'true or false');
    return value === true;
  };
  const number = (field: string, fallback: number, right: (v: number) => boolean, expected: string): number => {
    const value = fields[field] ?? fallback;
    if (typeof value === 'number' && right(value)) return value;
    wrong(field, expected);
    return fallback;
  };
  const channels = (field: string, fallback: Channels, right: (v: number) => boolean, expected: string): Channels => {
    const value = fields[field] ?? fallback;
    const list = (typeof value === 'number' ? [value, value, value] : value) as unknown[];
    if (Array.isArray(list) && list.length === 3 && list.every((v) => typeof v === 'number' && right(v)))
      return list as unknown as Channels;
    wrong(field, expected);
    return fallback;
  };

  const mean = channels('image_mean', defaults.image_mean, Number.isFinite, 'three numbers');
  const std = channels('image_std', defaults.image_std, (v) => v > 0, 'three positive numbers');
  const filter = number(
    'resample',
    defaults.resample,
    (v) => PILLOW_FILTERS[v] !== undefined,
    'a filter number, 0 to 5',
  );
  const rescale = number('rescale_factor', defaults.rescale_factor, Number.isFinite, 'a number');
  const janus = kind === 'Janus' || kind === 'VLM';
  const minimum = number('min_size', 14, isPositiveInteger, 'a positive integer');
  const size = sizeRule(
    fields.size ?? (kind === 'VLM' ? fields.image_size : undefined) ?? defaults.size,
    defaults.one_number_is_square,
  );
  if (typeof size === 'string') wrong('size', size);
  else if (janus && !('height' in size && size.height === size.width)) wrong('size', 'equal height and width');
  const crop = sizeRule(fields.crop_size ?? defaults.crop_size, true);
  if (typeof crop === 'string' || !('height' in crop)) wrong('crop_size', 'height and width');
  if (!janus && flag('do_pad', false)) wrong('do_pad', `false for ${kind}`);

  const steps = {
    resize: flag('do_resize', true),
    crop: flag('do_center_crop', defaults.do_center_crop) && !janus,
    pad: janus && flag('do_pad', true),
    rescale: flag('do_rescale', true),
    normalize: flag('do_normalize', true),
  };
  if (faults.length > 0 || typeof size === 'string' || typeof crop === 'string' || !('height' in crop))
    return { faults };
  const rule: SizeRule =
    janus && 'height' in size ? { square: size.height, min_size: minimum, cut: kind === 'VLM' } : size;
  const background = backgroundOf(fields, kind, mean);
  const config: ProcessorConfig = {
    filter: PILLOW_FILTERS[filter],
    ...(steps.resize ? { size: rule } : {}),
    ...(steps.crop ? { crop } : {}),
    ...(steps.pad ? { background } : {}),
    ...(steps.rescale ? { rescale } : {}),
    ...(steps.normalize ? { normalize: { mean, std } } : {}),
  };
  return { config, faults };
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
