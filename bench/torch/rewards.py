"""The reward of the benchmark's GRPO step in PyTorch: MAGVIT-v2's decoder and mini_clip, from UniLab's own files."""

import json
import struct
from pathlib import Path

import torch
import torch.nn.functional as F

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16}


def read_safetensors(path):
    """Tensors of a safetensors file by name, in float32."""
    data = Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[8 + size + start : 8 + size + end]), dtype=DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"]).float()
    return tensors


class Layers:
    """Layers by name; images are [batch, channels, height, width], channels last in memory."""

    def __init__(self, tensors, groups):
        fast = torch.channels_last
        self.p = {n: t.contiguous(memory_format=fast) if t.ndim == 4 else t for n, t in tensors.items()}
        self.groups = groups

    def linear(self, name, x):
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def conv(self, name, x, stride=1, padding="same"):
        return F.conv2d(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"], stride, padding)

    def norm(self, name, x):
        return F.group_norm(x, self.groups, self.p[f"{name}.weight"], self.p[f"{name}.bias"], 1e-6)

    def norm_silu(self, name, x):
        return F.silu(self.norm(name, x))

    def res_block(self, at, x):
        h = self.conv(f"{at}.conv1", self.norm_silu(f"{at}.norm1", x))
        h = self.conv(f"{at}.conv2", self.norm_silu(f"{at}.norm2", h))
        return (self.conv(f"{at}.nin_shortcut", x) if f"{at}.nin_shortcut.weight" in self.p else x) + h

    def res_blocks(self, at, x):
        i = 0
        while f"{at}.block.{i}.conv1.weight" in self.p:
            x = self.res_block(f"{at}.block.{i}", x)
            i += 1
        return x


class MagvitDecoder(Layers):
    """Codes to pixels: a code is the signs of its bits, the first bit the most significant."""

    def __init__(self, path, config):
        super().__init__(read_safetensors(path), config["decoder"]["norm_groups"])
        self.bits, self.levels = config["codebook_dim"], len(config["decoder"]["ch_mult"])

    def attention(self, at, x):
        h = self.norm(f"{at}.norm", x)
        q, k, v = (self.conv(f"{at}.{n}", h).flatten(2).transpose(1, 2)[:, None] for n in "qkv")
        mixed = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)
        return x + self.conv(f"{at}.proj_out", mixed.reshape(x.shape))

    def decode(self, codes):
        """codes [images, codes] -> pixels [images, 3, height, width] in [-1, 1]"""
        side = round(codes.shape[1] ** 0.5)
        shifts = torch.arange(self.bits - 1, -1, -1)
        signs = ((codes[..., None] >> shifts) & 1) * 2.0 - 1
        x = signs.view(len(codes), side, side, self.bits).permute(0, 3, 1, 2)
        h = self.conv("decoder.conv_in", self.conv("decoder.post_quant_conv", x))
        h = self.res_block("decoder.mid.block_1", h)
        h = self.res_block("decoder.mid.block_2", self.attention("decoder.mid.attn_1", h))
        for level in reversed(range(self.levels)):
            h = self.res_blocks(f"decoder.up.{level}", h)
            if level > 0:
                h = self.conv(f"decoder.up.{level}.upsample.conv", F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return self.conv("decoder.conv_out", self.norm_silu("decoder.norm_out", h)).float().clamp(-1, 1)


class MiniClip(Layers):
    """A conv net for images, pre-norm transformer blocks for captions, one space for both."""

    def __init__(self, path, config):
        super().__init__(read_safetensors(path), 4)
        self.config = config

    def image_features(self, pixels):
        """pixels [images, 3, 64, 64] in [-1, 1] -> unit vectors [images, embedding]"""
        h = pixels.contiguous(memory_format=torch.channels_last)
        for level in range(len(self.config["trunk"]["channels"])):
            at = f"visual.trunk.{level}"
            # As TensorFlow pads: a kernel of 4 on both sides, one of 3 on the right and at the bottom.
            h = F.pad(h, (1, 1, 1, 1) if level == 0 else (0, 1, 0, 1))
            h = self.norm_silu(f"{at}.norm", self.conv(f"{at}.down", h, 2, "valid"))
            h = self.res_blocks(at, h)
        places = self.norm_silu("visual.trunk.norm_out", h).flatten(2).transpose(1, 2)
        patches = F.gelu(self.linear("visual.mix", places + self.p["visual.position"]), approximate="tanh")
        pooled = torch.cat([patches.mean(1), patches.amax(1)], 1)
        return F.normalize(self.linear("visual.projection", pooled).float(), dim=-1)

    def text_features(self, ids, present):
        """ids [texts, tokens], 0 where padded; present bool of the same shape -> unit vectors [texts, embedding]"""
        heads, width = self.config["heads"], self.config["width"]
        x = F.embedding(ids, self.p["text.token.weight"]) + self.p["text.position"][: ids.shape[1]]
        for i in range(self.config["layers"]):
            at = f"text.{i}"
            h = self.layer_norm(f"{at}.ln_1", x)
            q, k, v = (self.linear(f"{at}.attn.{n}", h).unflatten(2, (heads, -1)).transpose(1, 2) for n in "qkv")
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=present[:, None, None])
            x = x + self.linear(f"{at}.attn.out", mixed.transpose(1, 2).flatten(2))
            h = self.linear(f"{at}.mlp.fc1", self.layer_norm(f"{at}.ln_2", x))
            x = x + self.linear(f"{at}.mlp.fc2", F.gelu(h, approximate="tanh"))
        shown = F.layer_norm(x, (width,), self.p["text.ln_final.weight"], self.p["text.ln_final.bias"], 1e-5)
        pooled = (shown * present[..., None]).sum(1) / present.sum(1, keepdim=True)
        return F.normalize(self.linear("text.projection", pooled).float(), dim=-1)

    def layer_norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.p[f"{name}.weight"], self.p[f"{name}.bias"], 1e-5)


class ImageTextReward:
    """Cosine of each decoded image with its prompt, as the recipe's `ber_mini_clip`: on images of 8 bits a channel."""

    def __init__(self, spec):
        self.decoder = MagvitDecoder(spec["tokenizer"], spec["magvit"])
        self.clip = MiniClip(spec["clip"], json.loads(Path(spec["clip"]).with_name("config.json").read_text())["config"])
        longest = max(map(len, spec["prompts"]))
        self.ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids in spec["prompts"]])
        self.present = torch.tensor([[i < len(ids) for i in range(longest)] for ids in spec["prompts"]])

    @torch.no_grad()
    def __call__(self, codes):
        """codes [images, codes], in the order of the prompts -> rewards [images]"""
        pixels = self.decoder.decode(codes)
        shown = ((pixels + 1) * 127.5).round() / 127.5 - 1
        return (self.clip.image_features(shown) * self.clip.text_features(self.ids, self.present)).sum(-1)
