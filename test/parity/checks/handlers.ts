/** The folders that can be checked, by the kind that their case file names. Loaded only when one turns up. */
import type { ParityHandler } from './check';

interface Module {
  readonly parity: ParityHandler;
}

const handlers: Record<string, () => Module> = {
  benchmarks: () => require('./benchmarks') as Module,
  bert: () => require('./bert') as Module,
  bleu: () => require('./bleu') as Module,
  blip2_itm: () => require('./blip2-itm') as Module,
  blip_caption: () => require('./blip-caption') as Module,
  blip_itm: () => require('./blip-itm') as Module,
  chameleon: () => require('./chameleon') as Module,
  clip: () => require('./clip') as Module,
  clip_bpe: () => require('./clip-bpe') as Module,
  corl_rewards: () => require('./corl-rewards') as Module,
  detr: () => require('./detr') as Module,
  dino_patch: () => require('./dino-patch') as Module,
  dinov2: () => require('./dinov2') as Module,
  dreamsim: () => require('./dreamsim') as Module,
  dsog: () => require('./dsog') as Module,
  ernie: () => require('./ernie') as Module,
  face_align: () => require('./face-align') as Module,
  grpo: () => require('./grpo') as Module,
  grpo_loop: () => require('./grpo-loop') as Module,
  grpo_loop_long: () => require('./grpo-loop') as Module,
  janus: () => require('./janus') as Module,
  lpips: () => require('./lpips') as Module,
  magvitv2: () => require('./magvitv2') as Module,
  merge: () => require('./merge') as Module,
  preprocess: () => require('./preprocess') as Module,
  mtcnn: () => require('./mtcnn') as Module,
  safetensors: () => require('./safetensors') as Module,
  showo: () => require('./showo') as Module,
  showo_maskgit: () => require('./showo-maskgit') as Module,
  tim: () => require('./tim') as Module,
  vit: () => require('./vit') as Module,
};

/** @returns undefined for a kind that nothing checks */
export function handlerOf(kind: string): ParityHandler | undefined {
  return Object.hasOwn(handlers, kind) ? handlers[kind]().parity : undefined;
}

/** All kinds. */
export const kinds: readonly string[] = Object.keys(handlers);
