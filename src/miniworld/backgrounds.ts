/** The backgrounds as SVG: two or three pale tones each, so that every object color stands out, and a few drawn features. */
import type { Background } from './world';

const rect = (x: number, y: number, w: number, h: number, fill: string) =>
  `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${fill}"/>`;
const disc = (x: number, y: number, r: number, fill: string) => `<circle cx="${x}" cy="${y}" r="${r}" fill="${fill}"/>`;

/** "6,6 20,12" as points. */
const points = (text: string) => text.split(' ').map((point) => point.split(',').map(Number));

const flakes = points('6,6 20,12 34,5 50,9 59,20 10,24 27,28 44,22 4,38 57,36 18,40 38,38');
const streaks = points('8,16 18,22 28,15 38,24 48,17 58,23 4,34 14,40 24,33 34,42 44,35 54,41 10,54 30,52 50,54 60,40');
const stars = points('6,7 18,4 29,11 40,5 10,20 36,22 58,26');
/** Left edge, top and width of each tower, and its windows: two columns where it is wide enough. */
const towers = points('0,26,10 11,16,9 21,30,8 30,10,10 41,24,8 50,18,9 60,28,4');
const windowsOf = ([x, y, w]: readonly number[]) =>
  [0, 6, 12].flatMap((down) =>
    (w > 6 ? [x + 2, x + w - 4] : [x + 2]).map((left) => rect(left, y + 4 + down, 2, 3, '#f3ead0')),
  );

const images: Readonly<Record<Background, string>> = {
  white: rect(0, 0, 64, 64, '#ffffff'),
  grey: rect(0, 0, 64, 64, '#c3c6ca'),
  cream: rect(0, 0, 64, 64, '#f8ecc9'),
  beach:
    rect(0, 0, 64, 64, '#d8effb') +
    disc(54, 9, 7, '#ffe58a') +
    rect(0, 24, 64, 16, '#8fd0dc') +
    rect(0, 30, 64, 2, '#c4eaf0') +
    rect(0, 40, 64, 24, '#f1dfb4'),
  meadow:
    rect(0, 0, 64, 64, '#def0fc') +
    `<path d="M0 30 Q16 18 32 30 T64 28 V64 H0Z" fill="#c9e8b0"/>` +
    rect(0, 46, 64, 18, '#b2db96') +
    [6, 18, 31, 45, 57].map((x, i) => disc(x, 52 + (i % 2) * 6, 1.6, '#ffffff')).join(''),
  night:
    rect(0, 0, 64, 64, '#a9b0d8') +
    `<path d="M54 3 A8 8 0 1 0 61 15 A7 7 0 0 1 54 3Z" fill="#fff6c8"/>` +
    stars.map(([x, y]) => disc(x, y, 1.2, '#fffbe6')).join('') +
    rect(0, 48, 64, 16, '#8088b8'),
  snow:
    rect(0, 0, 64, 64, '#c2d6e6') +
    `<path d="M50 16 L58 40 H42Z M8 22 L14 40 H2Z" fill="#9dbcae"/>` +
    `<path d="M0 42 Q16 36 32 42 T64 40 V64 H0Z" fill="#ffffff"/>` +
    flakes.map(([x, y]) => disc(x, y, 1.6, '#ffffff')).join(''),
  rain:
    rect(0, 0, 64, 64, '#cdd5dc') +
    `<path d="M0 0 H64 V8 Q56 14 48 8 Q40 14 32 8 Q24 14 16 8 Q8 14 0 8Z" fill="#9aa4ae"/>` +
    streaks.map(([x, y]) => `<path d="M${x} ${y} l-2.5 7" stroke="#7394b4" stroke-width="1.4"/>`).join('') +
    rect(0, 58, 64, 6, '#b0bfcc'),
  city:
    rect(0, 0, 64, 64, '#f7e6dc') +
    towers
      .map((tower) => rect(tower[0], tower[1], tower[2], 50 - tower[1], '#c9bfc4') + windowsOf(tower).join(''))
      .join('') +
    rect(0, 50, 64, 14, '#b4b0b6') +
    [4, 20, 36, 52].map((x) => rect(x, 56, 8, 2, '#f0eeee')).join(''),
};

/** SVG document of a background, 64 x 64. */
export function backgroundSvg(background: Background): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="0 0 64 64">${images[background]}</svg>`;
}
