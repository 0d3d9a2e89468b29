/** Groups of requests, and what came of them. */
import { Rng } from '../../../src/engine';
import type { JanusModel } from '../../../src/models/janus/model';

export const rngs = (count: number, seed = 7) => Array.from({ length: count }, (_, i) => new Rng(seed).split(i));
export const group = <T>(prompt: T, count: number): T[] => new Array<T>(count).fill(prompt);
/** The ids of answers. */
export const idsOf = (segments: readonly { transitions: readonly { sampledIds: Int32Array }[] }[]) =>
  segments.map(({ transitions }) => [...transitions[0].sampledIds]);
export const codesOf = (segments: readonly { codes: Int32Array }[]) => segments.map(({ codes }) => [...codes]);

/** Counts how many rows the language model is asked to read at once, first pass first. */
export function countRows(model: JanusModel, run: () => void): number[] {
  const { network } = model;
  const rows: number[] = [];
  const plain = network.hidden.bind(network);
  network.hidden = (embeds, options) => {
    rows.push(embeds.shape[0]);
    return plain(embeds, options);
  };
  try {
    run();
  } finally {
    network.hidden = plain;
  }
  return rows;
}
