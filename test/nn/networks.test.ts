import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { Rng, startEngine, tf } from '../../src/engine';
import { openSafetensors } from '../../src/io';
import { DetectorNetwork } from '../../src/miniworld/detector/network';
import { BERT_BASE, BertModel } from '../../src/models/scorers/bert';
import { BertNetwork } from '../../src/models/scorers/bert/network';
import { BLIP_BASE, BlipCaptioner, BlipCaptionNetwork } from '../../src/models/scorers/blip-caption';
import { BlipMatcher, BlipMatchNetwork } from '../../src/models/scorers/blip-itm';
import { Blip2Matcher, Blip2MatchNetwork } from '../../src/models/scorers/blip2-itm';
import { Clip, clipConfigFromUpstream } from '../../src/models/scorers/clip';
import { ClipNetwork } from '../../src/models/scorers/clip/towers';
import { Dinov2 } from '../../src/models/scorers/dinov2';
import { ErnieModel } from '../../src/models/scorers/ernie';
import { FaceNetNetwork } from '../../src/models/scorers/facenet/network';
import { LpipsNetwork } from '../../src/models/scorers/lpips';
import { MiniClipNetwork, miniClipConfig } from '../../src/models/scorers/mini-clip/network';
import { LooksNetwork } from '../../src/models/scorers/mini-looks';
import { ONet, PNet, RNet } from '../../src/models/scorers/mtcnn/networks';
import { QFORMER_BASE } from '../../src/models/scorers/qformer';
import { type VisionConfig, VisionNetwork } from '../../src/models/scorers/vision/network';
import { Vit } from '../../src/models/scorers/vit';
import type { Module } from '../../src/nn/module';
import { ParamStore } from '../../src/nn/store';

before(() => startEngine({ precision: 'float32', quiet: true }));

const PARITY = path.join(__dirname, '..', 'parity');

/** A sum that depends on every number of the tensors, and on none of them evenly. */
function energy(...tensors: readonly (tf.Tensor | undefined)[]): tf.Scalar {
  const parts = tensors.flatMap((tensor) => {
    if (!tensor) return [];
    const weights = tf.tensor(new Rng(7).normal(tensor.size), tensor.shape);
    return [tf.sum<tf.Scalar>(tf.mul(tensor, weights))];
  });
  return tf.addN(parts);
}

const image = (batch: number, side: number) =>
  tf.tensor<tf.Rank.R4>(new Rng(3).normal(batch * side * side * 3), [batch, side, side, 3]);

/** Names of what gets no gradient from a network's output. */
function silent<M extends Module>(net: M, output: (net: M) => tf.Scalar): string[] {
  // Numbers away from 0 and from each other: a scale of 1 or a shift of 0 could hide what is left out.
  const store = ParamStore.fill(net, (name, { shape }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const noise = new Rng(2).split(name).normal(size);
    const fanIn = Math.sqrt(Math.max(1, size / (shape[0] ?? 1)));
    if (shape.length > 1) return noise.map((value) => value / fanIn);
    return noise.map((value) => (name.endsWith('bias') ? value - 0.5 : 0.7 + 0.2 * Math.abs(value)));
  });
  const bound = net.with(store);
  const variables = Object.entries(store.variables);
  try {
    return tf.tidy(() => {
      const { grads } = tf.variableGrads(
        () => output(bound),
        variables.map(([, variable]) => variable),
      );
      return variables.flatMap(([name, variable]) => {
        const grad = (grads as Partial<typeof grads>)[variable.name];
        const largest = grad ? tf.max(tf.abs(grad)).dataSync()[0] : 0;
        assert.ok(!Number.isNaN(largest), name);
        return largest > 0 ? [] : [name];
      });
    });
  } finally {
    store.dispose();
  }
}

const block = {
  hidden_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 20,
  hidden_act: 'gelu',
  layer_norm_eps: 1e-6,
};
const blipVision = { ...block, image_size: 8, patch_size: 4, qkv_bias: true };
const blip = {
  ...BLIP_BASE,
  vision: blipVision,
  text: { ...BLIP_BASE.text, ...block, vocab_size: 9, max_position_embeddings: 4, encoder_hidden_size: 12 },
  image_text_hidden_size: 6,
};
const blip2 = {
  vision: blipVision,
  qformer: { ...QFORMER_BASE, ...block, vocab_size: 9, max_position_embeddings: 3, encoder_hidden_size: 12 },
  num_query_tokens: 2,
  image_text_hidden_size: 6,
};
const vision: VisionConfig = {
  hidden: 12,
  layers: 2,
  heads: 3,
  intermediate: 20,
  eps: 1e-6,
  activation: 'gelu',
  model: 'vit',
  image: [8, 8],
  patch: [4, 4],
  grid: [2, 2],
  channels: 3,
  pooler: { size: 5, activation: 'tanh' },
};
const clip = clipConfigFromUpstream(
  {
    projection_dim: 6,
    text_config: { ...block, vocab_size: 9, max_position_embeddings: 3, eos_token_id: 8 },
    vision_config: { ...block, image_size: 8, patch_size: 4 },
  },
  'config.json',
);

/** All ids and places that the tables have. */
const IDS = [
  [0, 1, 2],
  [3, 4, 8],
  [5, 6, 7],
];
const TABLE = () => tf.tensor2d(IDS.flat(), [3, 3], 'int32');

const networks: Readonly<Record<string, () => string[]>> = {
  bert: () =>
    silent(
      new BertNetwork({
        ...BERT_BASE,
        ...block,
        vocab_size: 9,
        max_position_embeddings: 3,
        task_types: 1,
        pooler: true,
      }),
      (net) => {
        const types = IDS.map((_, i) => [0, 1, i % 2]);
        const states = net.forward({ ids: IDS, types });
        return energy(states, net.pool(states));
      },
    ),
  clip: () =>
    silent(new ClipNetwork(clip), (net) => {
      const rows = { ids: IDS.map((row) => [...row.slice(0, 2), 8]) };
      const text = net.text_model.forward(rows);
      const seen = net.vision_model.forward(image(2, 8), false);
      const features = [
        net.text_projection.forward(text.poolerOutput),
        net.visual_projection.forward(seen.poolerOutput),
      ];
      return energy(...features, text.lastHiddenState, seen.lastHiddenState, tf.exp(net.logit_scale.value));
    }),
  vit: () => silent(new VisionNetwork(vision), (net) => energy(net.forward(image(2, 8), false).poolerOutput)),
  dinov2: () =>
    silent(new VisionNetwork({ ...vision, model: 'dinov2', gated: true, pooler: 'class token' }), (net) =>
      energy(net.forward(image(2, 8), true).lastHiddenState),
    ),
  'blip, captions': () =>
    silent(new BlipCaptionNetwork(blip, false), ({ vision_model, text_decoder: { bert, cls } }) => {
      const seen = vision_model.forward(image(3, 8)).lastHiddenState;
      const places = tf.tensor2d([...IDS.flat(), 0, 1, 2], [3, 4], 'int32');
      const { hidden } = bert.forward({ ids: places, mask: null, image: bert.imageKeys(seen) });
      return energy(cls.predictions.forward(hidden));
    }),
  'blip, matching': () =>
    silent(new BlipMatchNetwork(blip), (net) => {
      const seen = net.vision_model.forward(image(3, 8));
      const places = tf.tensor2d([...IDS.flat(), 0, 1, 2], [3, 4], 'int32');
      const keys = net.text_encoder.imageKeys(seen.lastHiddenState);
      const { hidden } = net.text_encoder.forward({ ids: places, mask: null, image: keys });
      return energy(
        net.itm_head.forward(hidden),
        net.text_proj.forward(hidden),
        net.vision_proj.forward(seen.poolerOutput),
      );
    }),
  'blip-2': () =>
    silent(new Blip2MatchNetwork(blip2), (net) => {
      const seen = net.vision_model.forward(image(3, 8)).lastHiddenState;
      const { word_embeddings, position_embeddings } = net.embeddings;
      const words = tf.add<tf.Tensor3D>(word_embeddings.forward(TABLE()), position_embeddings.weight.value);
      const embedded = tf.concat([tf.tile(net.query_tokens.value, [3, 1, 1]), words], 1);
      const hidden = net.qformer.forward({ embedded, queries: 2, image: seen, mask: null });
      const heads = [net.itm_head, net.vision_projection, net.text_projection];
      return energy(...heads.map((head) => head.forward(hidden)));
    }),
  lpips: () =>
    silent(new LpipsNetwork({ channels: [2, 3, 4, 5, 6] }), (net) => {
      const weights = net.heads();
      const shares = net.slices(image(1, 32)).map((slice, i) => tf.conv2d(slice, weights[i], 1, 'valid'));
      return energy(...shares);
    }),
  facenet: () =>
    silent(new FaceNetNetwork({ classes: 2 }), (net) => {
      const features = net.forward(image(1, 75));
      return energy(net.logits?.forward(features));
    }),
  'p-net': () =>
    silent(new PNet([2, 3, 4]), (net) => {
      const { regression, probability } = net.forward(image(1, 16));
      return energy(regression, probability);
    }),
  'r-net': () =>
    silent(new RNet([2, 3, 4, 5]), (net) => {
      const { regression, probability } = net.forward(image(4, 24));
      return energy(regression, probability);
    }),
  'o-net': () =>
    silent(new ONet([2, 3, 4, 5, 6]), (net) => {
      const { regression, probability, points } = net.forward(image(4, 48));
      return energy(regression, probability, points);
    }),
  'mini clip': () =>
    silent(new MiniClipNetwork({ ...miniClipConfig(9), maxTokens: 3 }), (net) => {
      const text = net.textEmbeddings(TABLE(), tf.ones([3, 3]));
      return energy(net.imageEmbeddings(image(1, 64)), text, net.logit_scale.value);
    }),
  'mini looks': () =>
    silent(
      new LooksNetwork({ size: 16, trunk: { channels: [8, 8], blocks: [0, 1] }, looks: { hue: ['a', 'b'] } }),
      (net) => energy(...Object.values(net.forward(image(2, 16)))),
    ),
  'scene detector': () =>
    silent(new DetectorNetwork({ channels: [8, 8, 8], blocks: [0, 1, 1] }), (net) =>
      energy(...Object.values(net.forward(image(1, 64)) as unknown as Record<string, tf.Tensor>)),
    ),
};

describe('every parameter that a network declares is used', () => {
  for (const [name, run] of Object.entries(networks))
    it(name, () => {
      // What all keys of an attention share is no difference between them.
      const unused = run().filter((parameter) => !/\b(key|k|k_proj)\.bias$/.test(parameter));
      assert.deepEqual(unused, []);
    });
});

/** Fixtures, and who loads them. Loading fails for any name that is not upstream's, and for any of upstream's that is left out. */
const loaders: Readonly<Record<string, (folder: string) => Promise<{ parameters: ParamStore; dispose(): void }>>> = {
  bert: (folder) => BertModel.fromPretrained(folder),
  ernie: (folder) => ErnieModel.fromPretrained(folder),
  clip: (folder) => Clip.fromPretrained(folder),
  vit: (folder) => Vit.fromPretrained(folder),
  dinov2: (folder) => Dinov2.fromPretrained(folder),
  blip_caption: (folder) => BlipCaptioner.fromPretrained(folder),
  blip_itm: (folder) => BlipMatcher.fromPretrained(folder),
  blip2_itm: (folder) => Blip2Matcher.fromPretrained(folder),
};

describe("names are upstream's, set for set", () => {
  for (const [name, load] of Object.entries(loaders)) {
    const folder = path.join(PARITY, name);
    it(
      name,
      { skip: existsSync(path.join(folder, 'model.safetensors')) ? false : `${folder} is not there` },
      async () => {
        const model = await load(folder);
        const reader = await openSafetensors(folder);
        await reader.close();
        const shapes = Object.fromEntries(reader.names.map((stored) => [stored, [...reader.info(stored).shape]]));
        const saved = Object.entries(model.parameters.writable()).map(([own, { shape }]) => [own, [...shape]] as const);
        for (const [own, shape] of saved) assert.deepEqual(shapes[own], shape, own);
        const own = new Set(saved.map(([each]) => each));
        const left = reader.names.filter(
          (stored) => !own.has(stored) && !/position_ids$|cls\.predictions\.decoder/.test(stored),
        );
        assert.deepEqual(left, []);
        model.dispose();
      },
    );
  }
});
