/** UniLab's half of the images that are drawn code after code: Janus, with guidance and a cache of keys and values. */
import { Rng } from '../src/engine';
import { generationIds, padLeft, unconditionalIds } from '../src/models/janus/layout';
import { JanusModel } from '../src/models/janus/model';
import { JanusLayers, JanusNetwork } from '../src/models/janus/network';
import { ParamStore } from '../src/nn/store';
import { miniText } from '../src/miniworld/curricula/scenes';
import { type BenchModel, type BenchSizes, janusOf } from './sizes';

/** Codes along an edge of the images that are drawn. */
const SIDES = { 64: 8, 256: 16 } as const;
export type CodeCount = keyof typeof SIDES;

/** What both sides are given, and what the check compares. */
export interface JanusInputs {
  readonly captions: readonly (readonly number[])[];
  /** Drawn codes of each image, and the mean of their log-probs as they were sampled. */
  readonly codes: readonly (readonly number[])[];
  readonly logProb: number;
}

export function janusLayers(model: BenchModel): JanusLayers {
  return JanusLayers.of(janusOf(model, miniText(), SIDES[64]));
}

/** Random weights of a Janus. */
export function newJanus(model: BenchModel, rng: Rng): ParamStore {
  return ParamStore.random(janusLayers(model), rng);
}

export class JanusBench {
  private readonly models: Readonly<Record<CodeCount, JanusModel>>;
  private runs = 0;

  /** @param store one set of weights for images of every size: positions are rotary */
  constructor(
    name: BenchModel,
    store: ParamStore,
    private readonly captions: readonly (readonly number[])[],
    private readonly sizes: BenchSizes,
  ) {
    const text = miniText();
    const of = (codes: CodeCount) =>
      new JanusModel(new JanusNetwork(janusOf(name, text, SIDES[codes]), store), text.text);
    this.models = { 64: of(64), 256: of(256) };
  }

  /** @returns mean log p of the drawn codes */
  draw(codes: CodeCount): number {
    return this.sample(codes).logProb;
  }

  sample(codes: CodeCount): { codes: number[][]; logProb: number } {
    const { config, imageSampler } = this.of(codes);
    const rng = new Rng(this.runs++);
    const requests = this.captions.map((text, i) => ({
      prompt: { task: 'generate', ids: generationIds(config, text) } as const,
      rng: rng.split(i),
    }));
    const { guidanceScale } = this.sizes;
    const drawn = imageSampler(requests, { guidanceScale, imageLogProbs: 'guided' }).finish();
    const logProbs = drawn.flatMap(({ transitions }) => transitions.flatMap((one) => Array.from(one.logProbs)));
    return {
      codes: drawn.map((image) => Array.from(image.codes)),
      logProb: logProbs.reduce((a, b) => a + b, 0) / logProbs.length,
    };
  }

  /** For PyTorch: the configuration, and prompts with and without their text, padded on the left. */
  forTorch() {
    const { config } = this.of(64);
    const prompts = this.captions.map((text) => generationIds(config, text));
    const { ids, pads } = padLeft(config, [...prompts, ...prompts.map((row) => unconditionalIds(config, row))]);
    return { config, prompts: ids, pads };
  }

  private of(codes: CodeCount) {
    const model = this.models[codes];
    return { config: model.config, imageSampler: model.imageSampler.bind(model) };
  }
}
