/**
 * Janus' tensors under the names of deepseek's own repository (`MultiModalityCausalLM`), beside those of transformers,
 * which are ours. Two differ in more than the name: queries, keys and values of the vision tower lie in one matrix, and
 * its positions have a first axis of 1.
 */
import type { WritableTensor } from '../../../io';
import type { CheckpointReader } from '../../../nn/checkpoint-fit';

/** Beginnings of names, theirs and ours; `{n}` stands for a number. */
type Pairs = readonly (readonly [theirs: string, ours: string])[];

const TOWER: Pairs = [
  ['blocks.{n}.norm1', 'encoder.layers.{n}.layer_norm1'],
  ['blocks.{n}.norm2', 'encoder.layers.{n}.layer_norm2'],
  ['blocks.{n}.attn.proj', 'encoder.layers.{n}.self_attn.projection_layer'],
  ['blocks.{n}.mlp', 'encoder.layers.{n}.mlp'],
  ['patch_embed.proj', 'embeddings.patch_embedding'],
  ['pos_embed', 'embeddings.position_embedding.weight'],
  ['norm', 'post_layernorm'],
];

/** A list of linear maps with an activation before every one but the first: activations have places in it, too. */
const MLP: Pairs = [
  ['layers.0', 'fc1'],
  ...Array.from({ length: 16 }, (_, i) => [`layers.${2 * i + 2}`, `hidden_layers.${i}`] as const),
];

const VQ: Pairs = (
  [
    ['encoder', 'down'],
    ['decoder', 'up'],
  ] as const
).flatMap(([half, level]) => [
  [`${half}.conv_blocks.{n}.res`, `${half}.${level}.{n}.block`] as const,
  [`${half}.conv_blocks`, `${half}.${level}`] as const,
  [`${half}.mid.0`, `${half}.mid.block_1`] as const,
  [`${half}.mid.1`, `${half}.mid.attn_1`] as const,
  [`${half}.mid.2`, `${half}.mid.block_2`] as const,
]);

/** Parts of the model: what their names begin with, and the pairs that apply to the rest. */
const PARTS: readonly (readonly [theirs: string, ours: string, pairs: Pairs])[] = [
  ['vision_model.vision_tower.', 'model.vision_model.', TOWER],
  ['aligner.', 'model.aligner.', MLP],
  ['gen_vision_model.', 'model.vqmodel.', VQ],
  ['gen_embed.', 'model.generation_embeddings.', []],
  ['gen_aligner.', 'model.generation_aligner.', MLP],
  ['gen_head.', 'model.generation_head.', [['output_mlp_projector', 'proj_out']]],
  ['language_model.lm_head.', 'lm_head.', []],
  ['language_model.model.', 'model.language_model.', []],
];

const POSITIONS = 'model.vision_model.embeddings.position_embedding.weight';
/** In the original one matrix (and one bias) holds the three of {@link SPLIT}. */
const JOINED = /^vision_model\.vision_tower\.blocks\.(\d+)\.attn\.qkv\.(weight|bias)$/;
const SPLIT = ['q_proj', 'k_proj', 'v_proj'] as const;
const OURS_SPLIT = /^model\.vision_model\.encoder\.layers\.(\d+)\.self_attn\.([qkv]_proj)\.(weight|bias)$/;
/** What no parameter of the model is made of: the tower's pooling head, and how often each code was used. */
const UNUSED = /^(vision_model\.vision_tower\.attn_pool\.|gen_vision_model\.quantize\.codebook_used$)/;

/** Whether the names are deepseek's. */
export function isDeepseek(names: readonly string[]): boolean {
  return names.some((name) => PARTS.some(([theirs]) => name.startsWith(theirs)));
}

/** Our name of an original tensor; a name that is not known stays. Not for those that lie joined. */
export function fromDeepseekName(name: string): string {
  return translate(name, 0);
}

/** The original name of our tensor. Not for those that lie joined. */
export function toDeepseekName(name: string): string {
  return translate(name, 1);
}

/**
 * Original tensors as if they were stored under our names and in our shapes. Joined tensors are read once for their
 * three parts where these are asked for one after the other.
 */
export function deepseekSource(reader: CheckpointReader): CheckpointReader {
  interface Place {
    readonly stored: string;
    /** Which third of it. */
    readonly third?: number;
  }
  const places = new Map<string, Place>();
  for (const stored of reader.names) {
    const joined = JOINED.exec(stored);
    if (UNUSED.test(stored)) continue;
    if (!joined) places.set(fromDeepseekName(stored), { stored });
    else
      SPLIT.forEach((part, third) =>
        places.set(`model.vision_model.encoder.layers.${joined[1]}.self_attn.${part}.${joined[2]}`, { stored, third }),
      );
  }
  const placeOf = (name: string): Place => places.get(name) ?? { stored: name };
  let last: { readonly stored: string; readonly values: Float32Array } | undefined;
  return {
    names: [...places.keys()],
    info(name) {
      const { stored, third } = placeOf(name);
      const info = reader.info(stored);
      const [first, ...rest] = info.shape;
      if (third !== undefined) return { ...info, shape: [first / 3, ...rest] };
      return name === POSITIONS && info.shape.length === 3 && first === 1 ? { ...info, shape: rest } : info;
    },
    async readFloat32(name, options) {
      const { stored, third } = placeOf(name);
      if (third === undefined) return reader.readFloat32(stored, options);
      if (last?.stored !== stored) last = { stored, values: await reader.readFloat32(stored, options) };
      const size = last.values.length / 3;
      return last.values.slice(third * size, (third + 1) * size);
    },
  };
}

/** Our tensors as the original stores them. */
export function asDeepseek(tensors: Readonly<Record<string, WritableTensor>>): Record<string, WritableTensor> {
  const out: Record<string, WritableTensor> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    const split = OURS_SPLIT.exec(name);
    if (name === POSITIONS) out[toDeepseekName(name)] = { ...tensor, shape: [1, ...tensor.shape] };
    else if (!split) out[toDeepseekName(name)] = tensor;
    else if (split[2] === SPLIT[0]) {
      const parts = SPLIT.map((part) => tensors[name.replace(SPLIT[0], part)]);
      const [first, ...rest] = tensor.shape;
      out[`vision_model.vision_tower.blocks.${split[1]}.attn.qkv.${split[3]}`] = {
        dtype: tensor.dtype,
        shape: [3 * first, ...rest],
        data: () => joinedValues(parts),
      };
    }
  }
  return out;
}

async function joinedValues(parts: readonly WritableTensor[]): Promise<Float32Array> {
  const values: Float32Array[] = [];
  for (const { data } of parts) values.push((typeof data === 'function' ? await data() : data) as Float32Array);
  const out = new Float32Array(values.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of values) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** @param from 0: from theirs to ours; 1: from ours to theirs */
function translate(name: string, from: 0 | 1): string {
  const to = from === 0 ? 1 : 0;
  const part = PARTS.find((names) => name.startsWith(names[from]));
  if (!part) return name;
  const rest = name.slice(part[from].length);
  for (const pair of part[2]) {
    const pattern = new RegExp(`^${pair[from].replace(/\./g, '\\.').replace(/\{n\}/g, '(\\d+)')}(?=\\.|$)`);
    const found = pattern.exec(rest);
    if (!found) continue;
    let next = 1;
    return part[to] + pair[to].replace(/\{n\}/g, () => found[next++]) + rest.slice(found[0].length);
  }
  return part[to] + rest;
}
