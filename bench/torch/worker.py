"""The PyTorch side of `unilab bench`: one JSON command a line on stdin, one JSON answer a line on stdout.

Weights and inputs come from UniLab's files, so that both sides compute the same numbers (and it is checked). Written as
one would in PyTorch: autocast, fused attention, fused AdamW; eager, or with its blocks compiled.

  {"do": "load", "folder": ..., "threads": n}
  {"do": WORK, "precision": "bf16" | "float32", "compiled": true | false, "round": n} -> {"seconds", "cpuSeconds", "value"}
  {"do": "check", "precision": ...}    -> {"reward", "loss", "gradNorm"} of the recorded group; no weight is changed
  {"do": "operations", "work": WORK}   -> {"operations": n}: multiplications and additions in matrix products
  {"do": "ceiling", "precision": ...}  -> {"gflops": n} of large matrix products
"""

import json
import statistics
import sys
import time
from pathlib import Path

import torch
from janus import Janus
from rewards import ImageTextReward, read_safetensors
from showo import Showo
from torch.utils.flop_counter import FlopCounterMode


def masked(codes, of):
    def work(worker, _precision, _round):
        """Images by masked decoding. Value: mean log p of the drawn codes."""
        transitions = worker.sample(worker.model, codes, worker.inputs["sizes"][of])
        return torch.stack([t[2] for t in transitions]).mean().item()

    return work


def drawn(codes):
    def work(worker, precision, _round):
        """Images code after code. Value: mean log p of the drawn codes."""
        guidance = worker.inputs["sizes"]["guidanceScale"]
        return worker.janus.sample(codes, guidance, cache_type(precision)).mean().item()

    return work


class Worker:
    def load(self, folder, threads):
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        folder = Path(folder)
        self.inputs = json.loads((folder / "inputs.json").read_text())
        config, vocabulary, spec = self.inputs["config"], self.inputs["vocabulary"], self.inputs["grpo"]
        tensors = read_safetensors(folder / "weights.safetensors")
        self.model = Showo(config, vocabulary, tensors)
        # A policy of its own, so that the other works keep their weights.
        self.policy = Showo(config, vocabulary, {name: value.clone() for name, value in tensors.items()})
        self.reference = Showo(config, vocabulary, read_safetensors(folder / "reference.safetensors"))
        self.janus = Janus(self.inputs["janus"], read_safetensors(folder / "janus.safetensors"))
        self.reward = ImageTextReward(spec["reward"])
        self.optimizers()
        return {"torch": torch.__version__, "threads": torch.get_num_threads()}

    def optimizers(self):
        training, options = self.inputs["training"], self.inputs["grpo"]["options"]
        matrices = [p for p in self.model.p.values() if p.ndim > 1]
        vectors = [p for p in self.model.p.values() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": training["weightDecay"]}, {"params": vectors, "weight_decay": 0}]
        betas = (0.9, training["beta2"])
        self.optimizer = torch.optim.AdamW(groups, lr=training["learningRate"], betas=betas, eps=1e-8, fused=True)
        self.policy_optimizer = torch.optim.AdamW(
            self.policy.p.values(),
            lr=options["learningRate"],
            betas=(0.9, 0.999),
            eps=1e-8,
            weight_decay=options["weightDecay"],
            fused=True,
        )

    def run(self, work, precision, compiled=False, round=0):
        for model in (self.model, self.policy, self.reference, self.janus):
            model.compiled = compiled
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            value = self.works[work](self, precision, round)
        return {"seconds": time.perf_counter() - start, "value": value}

    def train(self, _precision, round):
        """One optimizer step. Value: the loss before it."""
        batches = self.inputs["training"]["batches"]
        loss = self.model.loss(batches[round % len(batches)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.p.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def sample(self, model, count, images):
        """A batch of images by masked decoding."""
        spec = self.inputs["rollout"]
        condition = torch.tensor(spec["conditions"][:images])
        return model.sample(condition, torch.tensor(spec["dropped"]), count, spec["steps"], spec["guidanceScale"])

    def replay(self, _precision, _round):
        """Log-probs of recorded transitions with the gradient of their mean. Value: that mean."""
        spec = self.inputs["replay"]
        rows = (torch.tensor(spec[name]) for name in ("conditions", "dropped", "before", "chosen"))
        loss = self.model.log_probs(*rows, spec["guidanceScale"]).mean()
        loss.backward()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def grpo(self, precision, _round):
        """One whole step: rollout, rewards, advantages, update. Value: the loss."""
        transitions = self.sample(self.policy, self.inputs["config"]["num_vq_tokens"], None)
        rewards = self.reward(transitions[-1][1])
        # [images, steps, codes]
        before, chosen, taken, stays = (torch.stack(part, 1) for part in zip(*transitions))
        # Where products are bfloat16 the old log-probs are replayed; before the only update they are the policy's own.
        old = None if precision == "bf16" else taken
        loss, _ = self.update(before, chosen, old, stays, rewards - rewards.mean())
        self.policy_optimizer.step()
        self.policy_optimizer.zero_grad(set_to_none=True)
        return loss

    works = {
        "train": train,
        "masked64": masked(64, "rollouts"),
        "masked256": masked(256, "drawn"),
        "codes64": drawn(64),
        "codes256": drawn(256),
        "replay": replay,
        "grpo": grpo,
    }

    def update(self, before, chosen, old, mask, advantages):
        """Replays all transitions [images, steps, codes] in chunks; leaves the clipped gradient. Loss and norm before it."""
        o, spec = self.inputs["grpo"]["options"], self.inputs["rollout"]
        images, steps, _ = before.shape
        # Each image is divided by its own decisions, then by the images.
        weights = (mask * o["weight"] / mask.sum((1, 2), keepdim=True) / images).flatten(0, 1)
        condition = torch.tensor(spec["conditions"]).repeat_interleave(steps, 0)
        advantages = advantages.repeat_interleave(steps)[:, None]
        rows = (condition, before.flatten(0, 1), chosen.flatten(0, 1))
        chunks = [slice(i, i + o["chunk"]) for i in range(0, len(rows[0]), o["chunk"])]

        def log_probs(model, c):
            condition, before, chosen = (part[c] for part in rows)
            return model.log_probs(condition, torch.tensor(spec["dropped"]), before, chosen, spec["guidanceScale"])

        with torch.no_grad():
            reference = torch.cat([log_probs(self.reference, c) for c in chunks])
        total = 0
        for c in chunks:
            replayed = log_probs(self.policy, c)
            held = replayed.detach() if old is None else old.flatten(0, 1)[c]
            ratio = (replayed - held).clamp(-20, 20).exp()
            clipped = ratio.clamp(1 - o["epsilon"], 1 + o["epsilonHigh"])
            surrogate = -torch.minimum(ratio * advantages[c], clipped * advantages[c])
            apart = (replayed - reference[c]).clamp(-20, 20)
            kl = ((-apart).exp() + apart - 1).clamp(-o["klClamp"], o["klClamp"])
            loss = ((surrogate + o["beta"] * kl) * weights[c]).sum()
            loss.backward()
            total += loss.item()
        return total, torch.nn.utils.clip_grad_norm_(self.policy.p.values(), o["maxGradNorm"]).item()

    def check(self, precision):
        """Mean reward, and loss and gradient norm of one update, of the recorded group; log p of recorded codes."""
        before, chosen, old, mask = (torch.tensor(self.inputs["grpo"][k]) for k in ("before", "chosen", "old", "mask"))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            rewards = self.reward(chosen[:, -1])
            loss, norm = self.update(before, chosen, old, mask, rewards - rewards.mean())
            codes, guidance = torch.tensor(self.inputs["janus"]["codes"]), self.inputs["sizes"]["guidanceScale"]
            drawn = self.janus.log_probs(codes, guidance, cache_type(precision)).mean().item()
        self.policy_optimizer.zero_grad(set_to_none=True)
        return {"reward": rewards.mean().item(), "loss": loss, "gradNorm": norm, "drawn": drawn}

    def operations(self, work):
        with FlopCounterMode(display=False) as counter:
            self.run(work, "float32")
        return {"operations": counter.get_total_flops()}

    def ceiling(self, precision):
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(2048, 2048).to(kind) for _ in range(2))
        times = []
        for _ in range(12):
            start = time.perf_counter()
            torch.mm(a, b)
            times.append(time.perf_counter() - start)
        return {"gflops": 2 * 2048**3 / statistics.median(times[2:]) / 1e9}


def cache_type(precision):
    return torch.bfloat16 if precision == "bf16" else torch.float32


def main():
    worker = Worker()
    own = ("load", "check", "operations", "ceiling")
    for line in sys.stdin:
        command = json.loads(line)
        try:
            cpu, name = time.process_time(), command.pop("do")
            answer = getattr(worker, name)(**command) if name in own else worker.run(name, **command)
            answer["cpuSeconds"] = time.process_time() - cpu
        except Exception as error:  # said to the caller, who decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
