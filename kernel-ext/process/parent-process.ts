/** The process that started the kernel. When it is gone, nobody can reach the kernel, and the kernel ends. */

export interface ParentProcess {
  readonly pid: number;
  /** Whether it is the parent process itself; clients may name another one. */
  readonly direct: boolean;
}

/** The process named by `JPY_PARENT_PID`, else the one that started this one; null where that is init. */
export function parentProcess(): ParentProcess | null {
  const named = Number(process.env.JPY_PARENT_PID);
  const pid = Number.isInteger(named) && named > 1 ? named : process.ppid;
  return pid > 1 ? { pid, direct: pid === process.ppid } : null;
}

/** Whether the parent has ended. It also runs in another thread from its source text, so it uses nothing from this file. */
export function hasEnded({ pid, direct }: ParentProcess): boolean {
  if (direct) return process.ppid !== pid;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EPERM';
  }
}
