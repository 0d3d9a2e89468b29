"""Show-o in PyTorch, doing the work that `unilab bench` times: training step, guided MaskGIT rollout, replay, GRPO step.

A worker: one JSON command a line on stdin, one JSON answer a line on stdout; `unilab bench` runs it in turns with its
own. Weights and inputs come from UniLab's files, so that both sides compute the same numbers (and it is checked).
Written as one would in PyTorch: autocast, fused attention, fused AdamW, vectorized masks; eager, as UniLab is.

  {"do": "load", "folder": ..., "precision": "bf16" | "float32", "threads": n}
  {"do": "train" | "rollout" | "replay" | "grpo"}     -> {"seconds": s, "cpuSeconds": c, "value": v}
  {"do": "check"}     -> {"reward": r, "loss": l, "gradNorm": n} of the recorded group; no weight is changed
"""

import json
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from rewards_torch import ImageTextReward, read_safetensors


class Showo:
    """Phi's block (attention and MLP side by side), LayerNorm on each head's queries and keys, half rotary."""

    def __init__(self, config, vocabulary, tensors):
        self.config, self.vocabulary = config, vocabulary
        self.p = {name: torch.nn.Parameter(value) for name, value in tensors.items()}
        head = config["hidden_size"] // config["num_attention_heads"]
        self.rotated = int(head * config["partial_rotary_factor"])
        self.frequencies = config["rope_theta"] ** (-torch.arange(0, self.rotated, 2).float() / self.rotated)

    def linear(self, name, x):
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, name, x):
        weight = self.p[f"{name}.weight"]
        return F.layer_norm(x, weight.shape, weight, self.p[f"{name}.bias"], self.config["layer_norm_eps"])

    def turn(self, x, cos, sin):
        head, rest = x[..., : self.rotated], x[..., self.rotated :]
        first, second = head.chunk(2, -1)
        return torch.cat([head * cos + torch.cat([-second, first], -1) * sin, rest], -1)

    def block(self, at, x, mask, cos, sin):
        batch, tokens, hidden = x.shape
        heads = self.config["num_attention_heads"]
        h = self.norm(f"{at}.input_layernorm", x)

        def split(name):
            return self.linear(f"{at}.self_attn.{name}", h).view(batch, tokens, heads, hidden // heads)

        q = self.norm(f"{at}.self_attn.q_layernorm", split("q_proj")).transpose(1, 2)
        k = self.norm(f"{at}.self_attn.k_layernorm", split("k_proj")).transpose(1, 2)
        v = split("v_proj").transpose(1, 2)
        q, k = (self.turn(t, cos, sin).to(v.dtype) for t in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        attended = self.linear(f"{at}.self_attn.dense", mixed.transpose(1, 2).reshape(batch, tokens, hidden))
        mlp = self.linear(f"{at}.mlp.fc2", F.gelu(self.linear(f"{at}.mlp.fc1", h), approximate="tanh"))
        return x + attended + mlp

    def hidden(self, ids, mask, places=None):
        """ids [batch, tokens], mask bool [batch, tokens, tokens], places [batch, tokens] -> [batch, tokens, hidden]"""
        places = torch.arange(ids.shape[1])[None] if places is None else places
        angles = (places[:, None, :, None].float() * self.frequencies).repeat(1, 1, 1, 2)
        cos, sin = angles.cos(), angles.sin()
        x = F.embedding(ids, self.p["showo.model.embed_tokens.weight"])
        for i in range(self.config["num_hidden_layers"]):
            x = self.block(f"showo.model.layers.{i}", x, mask[:, None], cos, sin)
        return self.norm("showo.model.final_layernorm", x)

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
        weight, bias = self.p["showo.lm_head.weight"][span], self.p["showo.lm_head.bias"][span]
        logits = F.linear(hidden[:, start : start + config["num_vq_tokens"]], weight, bias).float()
        with_text, without = logits.chunk(2)
        return without + guidance * (with_text - without)


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


class Worker:
    def load(self, folder, precision, threads):
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self.inputs = json.loads((Path(folder) / "inputs.json").read_text())
        tensors = read_safetensors(Path(folder) / "weights.safetensors")
        self.model = Showo(self.inputs["config"], self.inputs["vocabulary"], tensors)
        self.bf16 = precision == "bf16"
        self.grpo_parts(folder, tensors)
        matrices = [p for p in self.model.p.values() if p.ndim > 1]
        vectors = [p for p in self.model.p.values() if p.ndim <= 1]
        training = self.inputs["training"]
        groups = [{"params": matrices, "weight_decay": training["weightDecay"]}, {"params": vectors, "weight_decay": 0}]
        self.optimizer = torch.optim.AdamW(groups, lr=0, betas=(0.9, training["beta2"]), eps=1e-8, fused=True)
        return {"torch": torch.__version__, "threads": torch.get_num_threads()}

    def grpo_parts(self, folder, tensors):
        """A policy of its own, so that the other works keep their weights; a reference, and the reward."""
        config, vocabulary, spec = self.inputs["config"], self.inputs["vocabulary"], self.inputs["grpo"]
        self.policy = Showo(config, vocabulary, {name: value.clone() for name, value in tensors.items()})
        self.reference = Showo(config, vocabulary, read_safetensors(Path(folder) / "reference.safetensors"))
        self.reward = ImageTextReward(spec["reward"])
        decay, betas = spec["options"]["weightDecay"], (0.9, 0.999)
        self.policy_optimizer = torch.optim.AdamW(
            self.policy.p.values(), lr=spec["options"]["learningRate"], betas=betas, eps=1e-8, weight_decay=decay, fused=True
        )

    def autocast(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    def train(self, learningRate):
        """One optimizer step. Value: the loss before it."""
        start = time.perf_counter()
        loss = 0
        with self.autocast():
            for group in self.inputs["training"]["groups"]:
                ids = torch.tensor(group["ids"])
                if "starts" in group:
                    starts, shared = torch.tensor(group["starts"]), torch.tensor(group["shared"])
                    mask, places = turns_mask(starts, shared, group["image"]), torch.tensor(group["places"])
                else:
                    mask, places = image_mask(ids, self.model.vocabulary), None
                hidden = self.model.hidden(ids, mask, places).flatten(0, 1)[torch.tensor(group["positions"])]
                logits = self.model.linear("showo.lm_head", hidden)
                loss = loss + group["weight"] * F.cross_entropy(logits.float(), torch.tensor(group["targets"]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.p.values(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = learningRate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        return {"seconds": time.perf_counter() - start, "value": value}

    @torch.no_grad()
    def sample(self, model, spec):
        """Guided MaskGIT from all-masked to done. Of every step: codes before, drawn codes, their log p, what stays."""
        condition, dropped = torch.tensor(spec["conditions"]), torch.tensor(spec["dropped"])
        count, steps = model.config["num_vq_tokens"], spec["steps"]
        codes = torch.full((len(condition), count), -1)
        transitions = []
        for step in range(steps):
            with self.autocast():
                logits = model.code_logits(condition, dropped, codes, spec["guidanceScale"])
            log_probs = logits.log_softmax(-1)
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

    def rollout(self):
        """Every transition of a batch of images. Value: mean log p of the drawn codes."""
        start = time.perf_counter()
        transitions = self.sample(self.model, self.inputs["rollout"])
        value = torch.stack([t[2] for t in transitions]).mean().item()
        return {"seconds": time.perf_counter() - start, "value": value}

    def replay(self):
        """Log-probs of recorded transitions with the gradient of their mean. Value: that mean."""
        start = time.perf_counter()
        spec = self.inputs["replay"]
        with self.autocast():
            codes, condition = torch.tensor(spec["before"]), torch.tensor(spec["conditions"])
            logits = self.model.code_logits(condition, torch.tensor(spec["dropped"]), codes, spec["guidanceScale"])
        chosen = torch.tensor(spec["chosen"])
        log_probs = -F.cross_entropy(logits.flatten(0, 1), chosen.flatten(), reduction="none")
        loss = log_probs.mean()
        loss.backward()
        value = loss.item()
        seconds = time.perf_counter() - start
        self.optimizer.zero_grad(set_to_none=True)
        return {"seconds": seconds, "value": value}

    def grpo(self):
        """One whole step: rollout, rewards, advantages, update. Value: the loss."""
        start = time.perf_counter()
        transitions = self.sample(self.policy, self.inputs["rollout"])
        with self.autocast():
            rewards = self.reward(transitions[-1][1])
        # [images, steps, codes]
        before, chosen, taken, stays = (torch.stack(part, 1) for part in zip(*transitions))
        # Where products are bfloat16 the old log-probs are replayed; before the only update they are the policy's own.
        old = None if self.bf16 else taken
        loss, _ = self.update(before, chosen, old, stays, rewards - rewards.mean())
        self.policy_optimizer.step()
        self.policy_optimizer.zero_grad(set_to_none=True)
        return {"seconds": time.perf_counter() - start, "value": loss}

    def check(self):
        """Mean reward, and loss and gradient norm of one update, of the recorded group."""
        before, chosen, old, mask = (torch.tensor(self.inputs["grpo"][k]) for k in ("before", "chosen", "old", "mask"))
        with self.autocast():
            rewards = self.reward(chosen[:, -1])
        loss, norm = self.update(before, chosen, old, mask, rewards - rewards.mean())
        self.policy_optimizer.zero_grad(set_to_none=True)
        return {"reward": rewards.mean().item(), "loss": loss, "gradNorm": norm}

    def update(self, before, chosen, old, mask, advantages):
        """Replays all transitions [images, steps, codes] in chunks; leaves the clipped gradient. Loss and norm before it."""
        o = self.inputs["grpo"]["options"]
        images, steps, _ = before.shape
        # Each image is divided by its own decisions, then by the images.
        weights = (mask * o["weight"] / mask.sum((1, 2), keepdim=True) / images).flatten(0, 1)
        condition = torch.tensor(self.inputs["rollout"]["conditions"]).repeat_interleave(steps, 0)
        advantages = advantages.repeat_interleave(steps)[:, None]
        rows = (condition, before.flatten(0, 1), chosen.flatten(0, 1))
        chunks = [slice(i, i + o["chunk"]) for i in range(0, len(rows[0]), o["chunk"])]
        with torch.no_grad():
            reference = torch.cat([self.log_probs(self.reference, *(r[c] for r in rows)) for c in chunks])
        total = 0
        for c in chunks:
            log_probs = self.log_probs(self.policy, *(r[c] for r in rows))
            held = log_probs.detach() if old is None else old.flatten(0, 1)[c]
            ratio = (log_probs - held).clamp(-20, 20).exp()
            clipped = ratio.clamp(1 - o["epsilon"], 1 + o["epsilonHigh"])
            surrogate = -torch.minimum(ratio * advantages[c], clipped * advantages[c])
            apart = (log_probs - reference[c]).clamp(-20, 20)
            kl = ((-apart).exp() + apart - 1).clamp(-o["klClamp"], o["klClamp"])
            loss = ((surrogate + o["beta"] * kl) * weights[c]).sum()
            loss.backward()
            total += loss.item()
        return total, torch.nn.utils.clip_grad_norm_(self.policy.p.values(), o["maxGradNorm"]).item()

    def log_probs(self, model, condition, before, chosen):
        """log p of chosen codes [rows, codes] under guidance."""
        spec = self.inputs["rollout"]
        with self.autocast():
            logits = model.code_logits(condition, torch.tensor(spec["dropped"]), before, spec["guidanceScale"])
        return -F.cross_entropy(logits.flatten(0, 1), chosen.flatten(), reduction="none").view(chosen.shape)


def main():
    worker = Worker()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            cpu = time.process_time()
            answer = getattr(worker, command.pop("do"))(**command)
            answer["cpuSeconds"] = time.process_time() - cpu
        except Exception as error:  # said to the caller, who decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
