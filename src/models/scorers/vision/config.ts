/** What the configurations of vision transformers have in common. */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { ConfigFields, ScorerConfigError } from '../bert/fields';
import { imageGrid, type ImageGrid } from './tokens';

/** The parsed `config.json` of a folder. @throws ScorerConfigError when it is missing, no JSON, or no object */
export async function readConfigJson(folder: string): Promise<{ json: Record<string, unknown>; file: string }> {
  const file = path.join(folder, 'config.json');
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new ScorerConfigError(`${file} cannot be read as a configuration: ${(error as Error).message}`, {
      cause: error,
    });
  }
  ConfigFields.of(json, file);
  return { json: json as Record<string, unknown>, file };
}

/** Size, patch and channels; one number stands for a square, two for height and width. Notes what is wrong in `fields`. */
export function readImageGrid(
  fields: ConfigFields,
  json: Readonly<Record<string, unknown>>,
  defaults: { readonly image_size: number; readonly patch_size: number },
): ImageGrid {
  const pair = (name: 'image_size' | 'patch_size'): [number, number] => {
    const value = json[name];
    if (!Array.isArray(value)) {
      const side = fields.size(name, defaults[name]);
      return [side, side];
    }
    const list = value as unknown[];
    if (list.length === 2 && list.every((v) => Number.isInteger(v) && (v as number) > 0))
      return list as [number, number];
    fields.fault(`${name} is ${JSON.stringify(value)}, expected a positive integer, or height and width`);
    return [defaults[name], defaults[name]];
  };
  const image = pair('image_size');
  const patch = pair('patch_size');
  const channels = fields.size('num_channels', 3);
  try {
    return imageGrid(image, patch, channels);
  } catch (error) {
    fields.fault((error as Error).message);
    return imageGrid([1, 1], [1, 1], channels);
  }
}

/** Notes a fault when the file is of another model. */
export function checkModelType(fields: ConfigFields, expected: string): void {
  const found = fields.text('model_type');
  if (found !== undefined && found !== expected) fields.fault(`model_type is "${found}", expected "${expected}"`);
}
