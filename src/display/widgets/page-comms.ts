/** The kernel's channels to the notebook's page, as widgets use them. */

/** One channel. */
export interface PageComm {
  readonly id: string;
  send(data: Record<string, unknown>, buffers?: readonly Uint8Array[]): void;
  close(): void;
  onMessage(listener: (data: Record<string, unknown>, buffers: readonly Uint8Array[]) => unknown): void;
  onClose(listener: () => unknown): void;
}

export interface PageComms {
  open(
    target: string,
    data: Record<string, unknown>,
    extra: { readonly metadata: Record<string, unknown>; readonly buffers: readonly Uint8Array[] },
  ): PageComm;
  register(target: string, listener: (comm: PageComm) => unknown): void;
  /** Makes a listener part of the cell that sets it. */
  bind<A extends unknown[], R>(listener: (...args: A) => R): (...args: A) => R;
}

/** Those of the kernel that runs this code; undefined in a terminal, and in other kernels. */
export function pageComms(): PageComms | undefined {
  return (globalThis as { jupyter?: { comms?: PageComms } }).jupyter?.comms;
}
