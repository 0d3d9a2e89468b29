/** A Janus of the mini world's words and images, random and as small as it gets. */
import { Rng } from '../../src/engine';
import { JanusModel } from '../../src/models/janus/model';
import { janusMini } from '../../src/miniworld/curricula/janus-config';
import { loadTokenizer } from '../../src/text';

export function tinyJanus(seed = 1): JanusModel {
  const tokenizer = loadTokenizer();
  const id = (token: string) => tokenizer.idOf(token) as number;
  const mini = janusMini(tokenizer.vocabularySize, { bos: id('[BOS]'), eos: id('[EOS]'), pad: id('[PAD]') });
  const width = 32;
  const config = {
    ...mini,
    text: {
      ...mini.text,
      hidden_size: width,
      intermediate_size: 48,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 2,
      head_dim: width / 2,
    },
    vision: { ...mini.vision, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, projection_dim: width },
    vq: { ...mini.vq, base_channels: 4, projection_dim: width, image_token_embed_dim: width },
  };
  return JanusModel.random(config, tokenizer, new Rng(seed));
}
