/** Finding a Python that has PyTorch. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../src/io/package-root';

/** A Python with PyTorch and its version, or why there is none. */
export type TorchPython = { readonly python: string; readonly version: string } | { readonly reason: string };

/** @param given the Python to take; else `UNILAB_TORCH_PYTHON`, `.venv/torch` (`make torch`), `python3`, in this order */
export function findTorch(given?: string): TorchPython {
  const own = path.join(packageRoot(), '.venv/torch/bin/python');
  const chosen = given ?? process.env.UNILAB_TORCH_PYTHON;
  const candidates = chosen ? [chosen] : [...(existsSync(own) ? [own] : []), 'python3'];
  const reasons: string[] = [];
  for (const python of candidates) {
    const { error, status, stdout, stderr } = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], {
      encoding: 'utf8',
    });
    if (status === 0) return { python, version: stdout.trim() };
    const last = stderr?.trim().split('\n').at(-1) ?? '';
    reasons.push(`${python}: ${error ? error.message : last}`);
  }
  return { reason: `no Python with PyTorch (${reasons.join('; ')}); \`make torch\` installs one into .venv/torch` };
}

/** The PyTorch side of the benchmark. */
export function torchScript(): string {
  return path.join(packageRoot(), 'bench', 'torch', 'worker.py');
}
