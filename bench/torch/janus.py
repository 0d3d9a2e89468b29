"""Janus' language model in PyTorch: images code after code, with a cache of keys and values and guidance."""

import torch
import torch.nn.functional as F
from showo import turn

PARTS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
PARTS += ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm"]
BEFORE = "model.language_model"
HEAD = "model.generation_head"


def llama_block(x, w, cache, start: int, mask, cos, sin, dim: int, eps: float):
    """x [rows, tokens, hidden]; cache: keys and values [rows, groups, room, dim], filled up to `start`"""
    q_proj, k_proj, v_proj, o_proj, gate, up, down, first, second = w
    rows, tokens, _ = x.shape
    end = start + tokens
    h = F.rms_norm(x, first.shape, first, eps)
    q, k, v = (F.linear(h, m).view(rows, tokens, -1, dim).transpose(1, 2) for m in (q_proj, k_proj, v_proj))
    cache[0][:, :, start:end] = turn(k, cos, sin)
    cache[1][:, :, start:end] = v
    keys, values = (part[:, :, :end] for part in cache)
    mixed = F.scaled_dot_product_attention(turn(q, cos, sin).to(v.dtype), keys, values, attn_mask=mask, enable_gqa=True)
    x = x + F.linear(mixed.transpose(1, 2).reshape(rows, tokens, -1), o_proj)
    h = F.rms_norm(x, second.shape, second, eps)
    return x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)


class Janus:
    compiled_block = staticmethod(torch.compile(llama_block))

    def __init__(self, spec, tensors):
        self.config, self.compiled, self.p = spec["config"]["text"], False, tensors
        self.prompts, self.pads = torch.tensor(spec["prompts"]), torch.tensor(spec["pads"])
        dim = self.config["head_dim"]
        self.frequencies = self.config["rope_theta"] ** (-torch.arange(0, dim, 2).float() / dim)
        self.layers = [
            tuple(self.p[f"{BEFORE}.layers.{i}.{name}.weight"] for name in PARTS)
            for i in range(self.config["num_hidden_layers"])
        ]

    def pair(self, name):
        return self.p[f"{name}.weight"], self.p[f"{name}.bias"]

    def embed_codes(self, codes):
        h = F.linear(self.p["model.generation_embeddings.weight"][codes], *self.pair("model.generation_aligner.fc1"))
        return F.linear(F.gelu(h, approximate="tanh"), *self.pair("model.generation_aligner.hidden_layers.0"))

    def code_logits(self, hidden):
        h = F.gelu(F.linear(hidden, *self.pair(f"{HEAD}.proj_out")), approximate="tanh")
        return F.linear(h, *self.pair(f"{HEAD}.vision_head")).float()

    def caches(self, rows, room, dtype):
        shape = (rows, self.config["num_key_value_heads"], room, self.config["head_dim"])
        return [(torch.empty(shape, dtype=dtype), torch.empty(shape, dtype=dtype)) for _ in self.layers]

    def hidden(self, x, caches, start, pads):
        """Goes on from `start`. pads [rows]: left padding, which is not seen"""
        end = start + x.shape[1]
        at = torch.arange(start, end)
        places = (at[None] - pads[:, None]).clamp(min=0)
        angles = (places[:, None, :, None].float() * self.frequencies).repeat(1, 1, 1, 2)
        keys = torch.arange(end)
        mask = (keys[None, None] <= at[None, :, None]) & (keys[None, None] >= pads[:, None, None])
        # What stands in the padding sees itself: nothing reads it.
        mask = (mask | (keys[None, None] == at[None, :, None]))[:, None]
        cos, sin, eps, dim = angles.cos(), angles.sin(), self.config["rms_norm_eps"], self.config["head_dim"]
        block = self.compiled_block if self.compiled else llama_block
        for w, cache in zip(self.layers, caches):
            x = block(x, w, cache, start, mask, cos, sin, dim, eps)
        weight = self.p[f"{BEFORE}.norm.weight"]
        return F.rms_norm(x, weight.shape, weight, eps)

    @torch.no_grad()
    def sample(self, count, guidance, dtype):
        """`count` codes of every image, each drawn from the guided distribution. -> log p of the drawn codes"""
        images = len(self.prompts) // 2
        length = self.prompts.shape[1]
        caches = self.caches(2 * images, length + count, dtype)
        x = F.embedding(self.prompts, self.p[f"{BEFORE}.embed_tokens.weight"])
        taken = []
        for i in range(count):
            start = 0 if i == 0 else length + i - 1
            last = self.hidden(x, caches, start, self.pads)[:, -1]
            with_text, without = self.code_logits(last).chunk(2)
            log_probs = (without + guidance * (with_text - without)).log_softmax(-1)
            codes = torch.multinomial(log_probs.exp(), 1)
            taken.append(log_probs.gather(1, codes))
            # What blocks are added to stays float32, as under autocast it does behind an embedding.
            x = self.embed_codes(codes.repeat(2, 1)).float()
        return torch.cat(taken, 1)

    @torch.no_grad()
    def log_probs(self, codes, guidance, dtype):
        """log p of codes [images, codes] that were drawn elsewhere, in one pass."""
        length, count = self.prompts.shape[1], codes.shape[1]
        text = F.embedding(self.prompts, self.p[f"{BEFORE}.embed_tokens.weight"])
        x = torch.cat([text, self.embed_codes(codes[:, :-1].repeat(2, 1))], 1)
        hidden = self.hidden(x, self.caches(len(x), x.shape[1], dtype), 0, self.pads)
        with_text, without = self.code_logits(hidden[:, length - 1 :]).chunk(2)
        log_probs = (without + guidance * (with_text - without)).log_softmax(-1)
        return log_probs.gather(2, codes[..., None])[..., 0]
