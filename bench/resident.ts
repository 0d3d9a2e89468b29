/** Resident memory of this process, as the system counts it. */
import { readFileSync } from 'node:fs';

export interface Resident {
  /** Bytes now. */
  readonly now: number;
  /** Most bytes since the start. */
  readonly peak: number;
}

/** Where the system does not say its peak (not Linux), Node's own count since the start. */
export function residentBytes(): Resident {
  const now = process.memoryUsage.rss();
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (line) return { now, peak: Number(line[1]) * 1024 };
  } catch {
    // not Linux
  }
  return { now, peak: process.resourceUsage().maxRSS * 1024 };
}
