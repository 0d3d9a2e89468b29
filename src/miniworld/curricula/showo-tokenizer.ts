/** Show-o mini's image tokenizer, which other trainings start from. */
import { existsSync } from 'node:fs';
import { readSafetensors } from '../../io';
import { dataFolder } from '../../io/package-root';
import { MagvitTokenizer } from '../../models/showo/image-tokenizer';
import { MAGVIT_MINI } from './showo-config';

export const SHOWO_FOLDER = 'showo-mini';

/** The image tokenizer that ships. @throws Error naming the stage that makes it when it is not there */
export async function trainedTokenizer(): Promise<MagvitTokenizer> {
  const file = dataFolder('checkpoints', SHOWO_FOLDER, 'tokenizer.safetensors');
  if (!existsSync(file))
    throw new Error(`there is no image tokenizer at ${file}; first run: unilab train showo-tokenizer-cells`);
  return MagvitTokenizer.fromTensors(MAGVIT_MINI, await readSafetensors(file), file);
}
