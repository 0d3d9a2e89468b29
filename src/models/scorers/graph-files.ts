/** Loading a tf.js graph model from files beside each other, whatever engine runs. */
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { tf } from '../../engine';

/** What is used of a graph model's `model.json`. */
export interface ModelJson {
  readonly modelTopology: object;
  readonly weightsManifest: readonly {
    readonly paths: readonly string[];
    readonly weights: tf.io.WeightsManifestEntry[];
  }[];
}

/** @param file a `model.json`; its weight files lie in its folder @throws Error naming the file that cannot be read */
export async function loadGraphFiles(file: string): Promise<tf.GraphModel> {
  const json = JSON.parse(await readFile(file, 'utf8')) as ModelJson;
  const pieces = json.weightsManifest.flatMap(({ paths }) =>
    paths.map((name) => readFile(path.join(path.dirname(file), name))),
  );
  return loadGraphParts(json, await Promise.all(pieces));
}

/** @param json a parsed `model.json` @param pieces its weight files, in order */
export function loadGraphParts(json: ModelJson, pieces: readonly Uint8Array[]): Promise<tf.GraphModel> {
  const joined = Buffer.concat(pieces);
  return tf.loadGraphModel(
    tf.io.fromMemory({
      modelTopology: json.modelTopology,
      weightSpecs: json.weightsManifest.flatMap(({ weights }) => weights),
      weightData: joined.buffer.slice(joined.byteOffset, joined.byteOffset + joined.byteLength),
    }),
  );
}
