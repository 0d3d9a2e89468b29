import { open } from 'node:fs/promises';

/** Makes renames in a folder last over a power cut; a system that cannot do this (Windows) is left alone. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
