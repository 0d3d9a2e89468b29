/** Recoloring of pictograms: every fill of an SVG moves to one hue and keeps its place in the shading. */
import type { Color } from './world';

/** Where the tones of a paint go. */
export interface Target {
  /** degrees */
  readonly hue: number;
  /** 0..1 */
  readonly saturation: number;
  /** lightness of the darkest and of the lightest tone, 0..1; narrow enough that the color's name never changes */
  readonly range: readonly [number, number];
}

/** Tones by color name. Light red is pink and dark yellow is brown: hence the different ranges. */
const TARGETS: Readonly<Record<Color, Target>> = {
  red: { hue: 0, saturation: 0.85, range: [0.28, 0.56] },
  yellow: { hue: 48, saturation: 0.97, range: [0.38, 0.64] },
  green: { hue: 130, saturation: 0.7, range: [0.2, 0.5] },
  blue: { hue: 218, saturation: 0.9, range: [0.3, 0.62] },
  purple: { hue: 275, saturation: 0.65, range: [0.28, 0.6] },
  pink: { hue: 328, saturation: 0.92, range: [0.58, 0.84] },
};

const NAMED: Readonly<Record<string, string>> = {
  black: '#000000',
  white: '#ffffff',
  red: '#ff0000',
  gray: '#808080',
  grey: '#808080',
};
const PAINT = /\b(fill|stroke|stop-color)(="|:)\s*(#[0-9a-fA-F]{3,8}|black|white|red|gray|grey|currentColor)\b/g;

/** '#rgb', '#rrggbb' or a known name to 0..1 components. */
function parseColor(text: string): [number, number, number] {
  let hex = (NAMED[text] ?? (text === 'currentColor' ? '#000000' : text)).slice(1);
  if (hex.length < 6) hex = [...hex.slice(0, 3)].map((c) => c + c).join('');
  return [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255) as [number, number, number];
}

/** RGB 0..1 to hue in degrees, saturation and lightness 0..1. */
function toHsl([r, g, b]: readonly [number, number, number]): [number, number, number] {
  const max = Math.max(r, g, b);
  const min = Math.min(r, g, b);
  const d = max - min;
  const l = (max + min) / 2;
  if (d === 0) return [0, 0, l];
  const s = d / (1 - Math.abs(2 * l - 1));
  const h = max === r ? ((g - b) / d + 6) % 6 : max === g ? (b - r) / d + 2 : (r - g) / d + 4;
  return [h * 60, s, l];
}

/** Hue in degrees, saturation and lightness 0..1 to '#rrggbb'. */
function fromHsl(h: number, s: number, l: number): string {
  const a = s * Math.min(l, 1 - l);
  const channel = (n: number) => {
    const k = (n + h / 30) % 12;
    const value = l - a * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

/** As the eye sees it: 0..1. */
const luma = ([r, g, b]: readonly [number, number, number]) => 0.3 * r + 0.59 * g + 0.11 * b;

/**
 * Maps every paint of an SVG to the tones of one color; darker paints stay darker.
 * @param body SVG markup @param color the color's name, or tones of another one
 */
export function recolor(body: string, color: Color | Target): string {
  const painted = `<g fill="#000000">${body}</g>`; // paths without a fill are black by default
  const { hue, saturation, range } = typeof color === 'string' ? TARGETS[color] : color;
  const tones = [...body.matchAll(PAINT)].map((m) => luma(parseColor(m[3])));
  const low = Math.min(...tones, 0.35);
  const high = Math.max(...tones, 0.65);
  return painted.replace(PAINT, (_all, key: string, glue: string, value: string) => {
    const place = Math.min(1, Math.max(0, (luma(parseColor(value)) - low) / (high - low)));
    return `${key}${glue}${fromHsl(hue, saturation, range[0] + place * (range[1] - range[0]))}`;
  });
}

/**
 * Turns the color of a pictogram: paints with a color of their own move to `hue`; greys, black and white stay, so
 * that eyes and outlines keep their look. For particular animals and things.
 * @param body SVG markup @param hue degrees
 * @param also which paints without a color turn too, for icons that have none: `greys` (lightness 0.2 to 0.95) or `white` as well; default none
 */
export function tint(body: string, hue: number, also: 'none' | 'greys' | 'white' = 'none'): string {
  return body.replace(PAINT, (all, key: string, glue: string, value: string) => {
    const [, s, l] = toHsl(parseColor(value));
    const colored = s > 0.15 && l > 0.06 && l < 0.97;
    const grey = also !== 'none' && l > 0.2 && (l < 0.95 || also === 'white');
    if (!colored && !grey) return all;
    return `${key}${glue}${fromHsl(hue, Math.max(0.6, Math.min(0.9, s)), Math.min(0.8, Math.max(0.22, l)))}`;
  });
}
