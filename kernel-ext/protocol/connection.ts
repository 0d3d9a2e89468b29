/** The connection between a kernel and its client: sockets in a private folder, or TCP ports. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isLeftBehind, processTag } from '../../src/io/running';
import type { ConnectionInfo } from './messages';

export type Transport = 'ipc' | 'tcp';

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The longest path that names a socket, in bytes: shorter on macOS than on Linux. */
const longestSocketPath = 100;

/** Where a new kernel listens. @param folder for this kernel alone */
export async function newConnection(folder: string, wanted?: Transport): Promise<ConnectionInfo> {
  const sockets = path.join(folder, 'socket');
  const canMeetInFolder = process.platform !== 'win32' && Buffer.byteLength(`${sockets}-5`) <= longestSocketPath;
  const transport = wanted ?? (canMeetInFolder ? 'ipc' : 'tcp');
  const ports = transport === 'ipc' ? [1, 2, 3, 4, 5] : await freePorts(5);
  const [shell_port, iopub_port, stdin_port, control_port, hb_port] = ports;
  return {
    transport,
    ip: transport === 'ipc' ? sockets : '127.0.0.1',
    key: randomUUID(),
    signature_scheme: 'hmac-sha256',
    ...{ shell_port, iopub_port, stdin_port, control_port, hb_port },
  };
}

/** The names of folders with a kernel's sockets begin with this. */
const folderPrefix = 'unilab-kernel-';

/** A private folder for one kernel. What clients that were killed have left behind is removed. */
export function privateFolder(): string {
  const left = readdirSync(tmpdir()).filter((name) => name.startsWith(folderPrefix) && isLeftBehind(name));
  for (const name of left) removeFolder(path.join(tmpdir(), name));
  return mkdtempSync(path.join(tmpdir(), `${folderPrefix}${processTag}-`));
}

/** Removes a private folder, if it can be. */
export function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // another user's, or a file system that is gone: nothing to be done
  }
}
