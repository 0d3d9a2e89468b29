/** Janus' language model at its published size: what loading it costs, and a token after contexts of several lengths. */
import { readValues, type tf } from '../../src/engine';
import { openSafetensors } from '../../src/io';
import type { JanusConfig } from '../../src/models/janus/config';
import { Decoder } from '../../src/nn/decoder';
import { JanusLayers, JanusNetwork } from '../../src/models/janus/network';
import { Llama, llamaRotary } from '../../src/nn/llama';
import { Module, type Weight } from '../../src/nn/module';
import { ParamStore } from '../../src/nn/store';
import { likeliest } from '../../src/nn/token-sampling';
import { type LargeModel, spend, type Spent, type WorkTiming } from './work';

/** The part of Janus that decodes tokens. */
class LanguageLayers extends Module<JanusConfig> {
  readonly model = { language_model: new Llama(this.config.text) };
  readonly lm_head = this.model.language_model.head();
}

/** Stands where the other parts would have their numbers. */
const ABSENT: Weight = {
  value: () => absent(),
  product: () => absent(),
  rows: () => absent(),
  variables: {},
  bytes: 0,
  dispose: () => undefined,
};

function absent(): never {
  throw new Error('only the language model was loaded');
}

/** Janus' language model with its head: what decodes tokens. @param lengths of context that are measured by default */
export function janusLarge(config: JanusConfig, lengths: readonly number[]): LargeModel {
  const part = new LanguageLayers(config);
  return {
    part: 'language model',
    files: { 'model.safetensors': part },
    work: 'tokens',
    lengths,
    async load(folder) {
      const reader = await openSafetensors(folder);
      try {
        const store = await ParamStore.read(part, reader, folder);
        const layers = new JanusLayers(config).with(store, { weight: () => ABSENT });
        const network = new JanusNetwork(config, store, layers);
        return { parameters: store.count(), run: (length, count) => decode(network, length, count) };
      } finally {
        await reader.close();
      }
    },
  };
}

/** Reads `context` tokens, then says more, greedily. The first one warms up what the prompt's shapes did not. */
async function decode(network: JanusNetwork, context: number, tokens: number): Promise<WorkTiming> {
  const vocab = network.config.text.vocab_size;
  const decoder = new Decoder({
    owner: network,
    name: 'word by word',
    layers: network.config.text.num_hidden_layers,
    room: context + tokens + 2,
    rotary: llamaRotary(network.config.text),
    inputs: (ids) => network.embedInputs(ids),
    read: (inputs, { tables, ...at }) => network.hidden(network.embed(inputs), { ...at, positions: tables }),
    head: (hidden) => network.textLogits(hidden),
  });
  const said: number[] = [];
  // What a token costs ends when it can be said: its logits are read.
  const say = (logits: () => tf.Tensor2D): Promise<Spent> =>
    spend(() => void said.push(likeliest(readValues(logits), 0, vocab)));
  try {
    const prompt = Array.from({ length: context }, (_, i) => (i * 7919 + 11) % vocab);
    const whole = await say(() =>
      decoder.start([context], [0], (cache) => network.hidden(network.embed(network.embedInputs([prompt])), { cache })),
    );
    const each: Spent[] = [];
    // The first two are recorded and compiled.
    for (let i = 0; i < tokens + 2; i++) each.push(await say(() => decoder.next(said.slice(-1))));
    return { whole, each: each.slice(2) };
  } finally {
    decoder.dispose();
  }
}
