"""Show-o in PyTorch, as one would write it there: fused attention, vectorized masks, a block that can be compiled."""

import math

import torch
import torch.nn.functional as F

PARTS = {
    "norm": "input_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "q_norm": "self_attn.q_layernorm",
    "k_norm": "self_attn.k_layernorm",
    "out": "self_attn.dense",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}


def turn(x, cos, sin):
    """Rotary positions on as many dimensions as there are angles."""
    head, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    first, second = head.chunk(2, -1)
    return torch.cat([head * cos + torch.cat([-second, first], -1) * sin, rest], -1)


def phi_block(x, w, mask, cos, sin, heads: int, eps: float):
    """Attention and MLP side by side, LayerNorm on each head's queries and keys, half rotary. w: weight and bias by part"""
    batch, tokens, hidden = x.shape
    h = F.layer_norm(x, w["norm"][0].shape, *w["norm"], eps)

    def split(part):
        return F.linear(h, *w[part]).view(batch, tokens, heads, hidden // heads)

    def normed(part):
        weight, bias = w[f"{part}_norm"]
        return F.layer_norm(split(part), weight.shape, weight, bias, eps).transpose(1, 2)

    v = split("v").transpose(1, 2)
    q, k = (turn(normed(part), cos, sin).to(v.dtype) for part in ("q", "k"))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    attended = F.linear(mixed.transpose(1, 2).reshape(batch, tokens, hidden), *w["out"])
    return x + attended + F.linear(F.gelu(F.linear(h, *w["fc1"]), approximate="tanh"), *w["fc2"])


class Showo:
    """`compiled` says whether blocks run through `torch.compile`: one compilation serves all of them."""

    compiled_block = staticmethod(torch.compile(phi_block))

    def __init__(self, config, vocabulary, tensors):
        self.config, self.vocabulary, self.compiled = config, vocabulary, False
        self.p = {name: torch.nn.Parameter(value) for name, value in tensors.items()}
        head = config["hidden_size"] // config["num_attention_heads"]
        rotated = int(head * config["partial_rotary_factor"])
        self.frequencies = config["rope_theta"] ** (-torch.arange(0, rotated, 2).float() / rotated)
        self.layers = [
            {part: self.pair(f"showo.model.layers.{i}.{name}") for part, name in PARTS.items()}
            for i in range(config["num_hidden_layers"])
        ]

    def pair(self, name):
        return self.p[f"{name}.weight"], self.p[f"{name}.bias"]

    def hidden(self, ids, mask, places=None):
        """ids [batch, tokens], mask bool [batch, tokens, tokens], places [batch, tokens] -> [batch, tokens, hidden]"""
        places = torch.arange(ids.shape[1])[None] if places is None else places
        angles = (places[:, None, :, None].float() * self.frequencies).repeat(1, 1, 1, 2)
        cos, sin = angles.cos(), angles.sin()
        heads, eps = self.config["num_attention_heads"], self.config["layer_norm_eps"]
        block = self.compiled_block if self.compiled else phi_block
        x = F.embedding(ids, self.p["showo.model.embed_tokens.weight"])
        for w in self.layers:
            x = block(x, w, mask[:, None], cos, sin, heads, eps)
        weight, bias = self.pair("showo.model.final_layernorm")
        return F.layer_norm(x, weight.shape, weight, bias, eps)

    def loss(self, groups):
        """Weighted cross-entropy of a training batch's kinds of rows."""
        loss = 0
        for group in groups:
            ids = torch.tensor(group["ids"])
            if "starts" in group:
                starts, shared = torch.tensor(group["starts"]), torch.tensor(group["shared"])
                mask, places = turns_mask(starts, shared, group["image"]), torch.tensor(group["places"])
            else:
                mask, places = image_mask(ids, self.vocabulary), None
            hidden = self.hidden(ids, mask, places).flatten(0, 1)[torch.tensor(group["positions"])]
            logits = F.linear(hidden, *self.pair("showo.lm_head"))
            loss = loss + group["weight"] * F.cross_entropy(logits.float(), torch.tensor(group["targets"]))
        return loss

    def code_logits(self, condition, dropped, codes, guidance):
        """Guided logits over the image codes, [images, codes, codebook]; codes: -1 where unknown."""
        v, config = self.vocabulary, self.config
        inside = torch.where(codes < 0, v["mask"], codes + v["imageOffset"])
        soi = torch.full((len(codes), 1), v["soi"])
        tail = torch.cat([soi, inside, torch.full_like(soi, v["eoi"])], 1)
        ids = torch.cat([torch.cat([condition, tail], 1), torch.cat([dropped.expand(len(codes), -1), tail], 1)])
        hidden = self.hidden(ids, image_mask(ids, v))
        start = config["max_text_len"] + 1
        span = slice(v["imageOffset"], v["imageOffset"] + config["codebook_size"])
        weight, bias = (values[span] for values in self.pair("showo.lm_head"))
        logits = F.linear(hidden[:, start : start + codes.shape[1]], weight, bias).float()
        with_text, without = logits.chunk(2)
        return without + guidance * (with_text - without)

    def log_probs(self, condition, dropped, before, chosen, guidance):
        """log p of chosen codes [rows, codes] under guidance."""
        logits = self.code_logits(condition, dropped, before, guidance)
        return -F.cross_entropy(logits.flatten(0, 1), chosen.flatten(), reduction="none").view(chosen.shape)

    @torch.no_grad()
    def sample(self, condition, dropped, count, steps, guidance):
        """Guided MaskGIT from all-masked to done. Of every step: codes before, drawn codes, their log p, what stays."""
        codes = torch.full((len(condition), count), -1)
        transitions = []
        for step in range(steps):
            log_probs = self.code_logits(condition, dropped, codes, guidance).log_softmax(-1)
            drawn = torch.multinomial(log_probs.exp().flatten(0, 1), 1).view(codes.shape)
            chosen = torch.where(codes < 0, drawn, codes)
            taken = log_probs.gather(-1, chosen[..., None])[..., 0]
            ratio = (step + 1) / steps
            unknown = (codes < 0).sum(1, keepdim=True)
            again = (unknown - 1).clamp(max=math.floor(count * math.cos(ratio * math.pi / 2))).clamp(min=1)
            noise = -torch.log(-torch.log(torch.rand(codes.shape).clamp(min=1e-20)))
            confidence = torch.where(codes < 0, taken, torch.finfo(torch.float32).max) + (1 - ratio) * noise
            cut = confidence.sort(1).values.gather(1, again)
            after = chosen if step == steps - 1 else torch.where(confidence < cut, -1, chosen)
            transitions.append((codes, chosen, taken, (after >= 0) & (codes < 0)))
            codes = after
        return transitions


def image_mask(ids, v):
    """Text rows causal, the image's rows see all; neither sees the pads before the text."""
    tokens = ids.shape[1]
    causal = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    in_image = ((ids == v["soi"]).cumsum(1) > 0)[:, :, None]
    pad = ids == v["pad"]
    return ((causal | in_image) & ~pad[:, None, :]) | (pad[:, :, None] & causal)


def turns_mask(starts, shared, image):
    """Every turn sees the shared beginning and, causally, itself; a shared image sees itself whole."""
    tokens = starts.shape[1]
    causal = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    own = causal & (starts[:, :, None] == starts[:, None, :])
    inside = torch.arange(tokens)[None] < shared[:, None]
    sees = torch.ones_like(inside) if image else ~inside
    return own | (sees[:, :, None] & inside[:, None, :])
