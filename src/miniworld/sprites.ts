/** The sprite sheet: every pictogram, person and background the scenes need, rendered once by sharp and kept in a file. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { writeFileAtomic } from '../io/write-file';
import { conceptDrawings } from './concepts';
import { backgroundSvg } from './backgrounds';
import { loadIcon, OBJECT_ICONS, SUBJECT_ICONS, svgDocument } from './icons';
import { genericPerson, loadPersonArtist, PEOPLE_POOL } from './people';
import { recolor } from './recolor';
import { SIZES, type SceneItem } from './scene';
import {
  ANIMALS,
  ART_STYLES,
  COLORS,
  BACKGROUNDS,
  OBJECTS,
  IMAGE_SIZE,
  SUBJECT_OBJECTS,
  type Background,
} from './world';

/** A square image with straight (not premultiplied) alpha: `[size, size, 4]` bytes. */
export interface Sprite {
  readonly size: number;
  readonly rgba: Uint8Array;
}

const SUBJECT_SIZES = [...new Set<number>([SIZES.subjectBesideObject, SIZES.subject])];
/** Sides that objects are drawn in, pixels. */
export const OBJECT_SIZES = [...new Set<number>([SIZES.count, SIZES.pair, SIZES.objectBesideSubject, SIZES.single])];

/** Name of the sprite an item is drawn with. */
export function spriteKey(
  item: Pick<SceneItem, 'object' | 'color' | 'category' | 'style' | 'size' | 'augmentedColor'>,
): string {
  return item.category === 'object'
    ? `object/${item.object}/${item.augmentedColor ?? item.color}/${item.size}`
    : `subject/${item.object}/${item.style}/${item.size}`;
}

/** Name of a background's image. */
export const backgroundKey = (background: Background) => `ground/${background}`;

/** Sprites by name. */
export class SpriteSheet {
  private readonly sprites: Map<string, Sprite>;

  constructor(sprites: Iterable<readonly [string, Sprite]>) {
    this.sprites = new Map(sprites);
  }

  /** @throws Error when no sprite has that name */
  get(key: string): Sprite {
    const sprite = this.sprites.get(key);
    if (!sprite) throw new Error(`the sprite sheet has no '${key}'; it has ${this.sprites.size} sprites (loadSprites)`);
    return sprite;
  }

  has(key: string): boolean {
    return this.sprites.has(key);
  }

  get keys(): string[] {
    return [...this.sprites.keys()];
  }

  /** Adds sprites rendered from SVG documents; those already there are kept. */
  async add(drawings: Iterable<readonly [key: string, svg: string, size: number]>): Promise<void> {
    const missing = [...drawings].filter(([key]) => !this.sprites.has(key));
    for (const [key, sprite] of await renderAll(missing)) this.sprites.set(key, sprite);
  }
}

/** Renders an SVG document at `size` x `size` pixels. */
export async function renderSvg(svg: string, size: number): Promise<Sprite> {
  // Icons come as 16 to 280 units; the density makes librsvg draw at the size wanted instead of scaling pixels.
  const rgba = await sharp(Buffer.from(svg))
    .resize(size, size, { fit: 'contain', background: '#0000' })
    .ensureAlpha()
    .raw()
    .toBuffer();
  return { size, rgba: new Uint8Array(rgba) };
}

async function renderAll(drawings: readonly (readonly [string, string, number])[]): Promise<[string, Sprite][]> {
  const out: [string, Sprite][] = [];
  const batch = 16;
  for (let i = 0; i < drawings.length; i += batch) {
    const part = drawings.slice(i, i + batch);
    out.push(
      ...(await Promise.all(
        part.map(async ([key, svg, size]): Promise<[string, Sprite]> => {
          try {
            return [key, await renderSvg(svg, size)];
          } catch (error) {
            throw new Error(`the drawing '${key}' could not be rendered: ${String(error)}`);
          }
        }),
      )),
    );
  }
  return out;
}

/** Name, SVG and size of everything that scenes and concepts can show. */
async function drawings(): Promise<[string, string, number][]> {
  const out: [string, string, number][] = [];
  for (const background of BACKGROUNDS) out.push([backgroundKey(background), backgroundSvg(background), IMAGE_SIZE]);
  for (const object of OBJECTS) {
    const icon = loadIcon(...OBJECT_ICONS[object]);
    for (const color of COLORS) {
      const painted = { ...icon, body: recolor(icon.body, color) };
      for (const size of OBJECT_SIZES) {
        out.push([spriteKey({ object, color, category: 'object', size }), svgDocument(painted, size), size]);
      }
    }
  }
  for (const object of [...ANIMALS, ...SUBJECT_OBJECTS]) {
    for (const style of ART_STYLES) {
      const icon = loadIcon(style, SUBJECT_ICONS[object]);
      for (const size of SUBJECT_SIZES) {
        out.push([spriteKey({ object, color: null, category: 'subject', style, size }), svgDocument(icon, size), size]);
      }
    }
  }
  const draw = await loadPersonArtist();
  for (let i = 0; i < PEOPLE_POOL; i++) {
    const svg = draw(genericPerson(i));
    for (const size of SUBJECT_SIZES) {
      const key = spriteKey({ object: 'person', color: null, category: 'subject', style: `person-${i}`, size });
      out.push([key, svg, size]);
    }
  }
  for (const [style, object, svg, size] of conceptDrawings(draw)) {
    out.push([spriteKey({ object, color: null, category: 'subject', style, size }), svg, size]);
  }
  return out;
}

/** `UNILAB_HOME/cache`, by default `~/.cache/unilab/cache`. */
export function cacheFolder(): string {
  return path.join(process.env.UNILAB_HOME ?? path.join(homedir(), '.cache', 'unilab'), 'cache');
}

interface CacheHeader {
  readonly digest: string;
  readonly entries: readonly (readonly [key: string, size: number])[];
}

/** Reads the cache file; null when it is missing, from other drawings, or damaged. */
function readCache(file: string, digest: string): SpriteSheet | null {
  if (!existsSync(file)) return null;
  try {
    const bytes = readFileSync(file);
    const length = bytes.readUInt32LE(0);
    const header = JSON.parse(bytes.toString('utf8', 4, 4 + length)) as CacheHeader;
    const total = header.entries.reduce((sum, [, size]) => sum + size * size * 4, 0);
    if (header.digest !== digest || bytes.length !== 4 + length + total) return null;
    let at = 4 + length;
    return new SpriteSheet(
      header.entries.map(([key, size]) => {
        const rgba = new Uint8Array(bytes.subarray(at, (at += size * size * 4)));
        return [key, { size, rgba }] as const;
      }),
    );
  } catch {
    return null;
  }
}

async function writeCache(file: string, digest: string, keys: readonly string[], sheet: SpriteSheet): Promise<void> {
  const header = Buffer.from(JSON.stringify({ digest, entries: keys.map((key) => [key, sheet.get(key).size]) }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  mkdirSync(path.dirname(file), { recursive: true });
  await writeFileAtomic(file, Buffer.concat([length, header, ...keys.map((key) => sheet.get(key).rgba)]));
}

let loaded: Promise<SpriteSheet> | undefined;

/**
 * The sprite sheet of the mini world. The first call on a machine renders some 1,600 drawings (seconds) and keeps
 * them in {@link cacheFolder}; later processes read that file, later calls return the same sheet.
 * A cache that cannot be written costs only time.
 * @throws Error naming the package to install when an icon package, DiceBear or sharp is missing
 */
export function loadSprites(): Promise<SpriteSheet> {
  loaded ??= openSprites(cacheFolder()).catch((error: unknown) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
}

/** {@link loadSprites} with a cache folder of its own and nothing kept in memory. A damaged cache is made anew. */
export async function openSprites(folder: string): Promise<SpriteSheet> {
  const list = await drawings();
  const hash = createHash('sha256').update(sharp.versions.sharp ?? '');
  for (const [key, svg, size] of list) hash.update(`${key}\n${size}\n${svg}\n`);
  const digest = hash.digest('hex');
  const file = path.join(folder, 'mini-world-sprites.bin');
  const cached = readCache(file, digest);
  if (cached) return cached;
  const sheet = new SpriteSheet([]);
  await sheet.add(list);
  try {
    const keys = list.map(([key]) => key);
    await writeCache(file, digest, keys, sheet);
  } catch (error) {
    console.error(`unilab: the sprite cache ${file} was not written (${String(error)}); going on without`);
  }
  return sheet;
}
