/** Which process made something, and whether it still runs: what a killed process left behind can be removed. */
import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Whether a process with this number runs on this machine. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // it is there, and another user's
  }
}

/** Containers and machines that share a folder count their processes apart. */
const machine = createHash('sha1').update(`${hostname()} ${pidNamespace()}`).digest('hex').slice(0, 8);

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // a system without them
  }
}

/** This process among those of all machines: `1f2e3d4c-4711`. For names of temporary files and folders. */
export const processTag = `${machine}-${process.pid}`;

/** Whether the process that made this name was one of this machine and is gone. @param name holds a {@link processTag} */
export function isLeftBehind(name: string): boolean {
  const parts = /(?:^|[.-])([0-9a-f]{8})-(\d+)(?=[.-])/.exec(name);
  return parts !== null && parts[1] === machine && !isRunning(Number(parts[2]));
}
