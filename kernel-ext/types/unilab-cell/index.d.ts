/** What every cell of a unilab notebook can use without an import. */

/**
 * Asks the person at the notebook for a line of text.
 * @throws Error where nobody can be asked: in headless runs, and in clients without input
 */
declare function input(prompt?: string, options?: { readonly password?: boolean }): Promise<string>;

/** A channel between a cell and code in the notebook's page. */
interface UnilabComm {
  readonly id: string;
  readonly target: string;
  send(data: Record<string, unknown>, buffers?: readonly Uint8Array[]): void;
  close(data?: Record<string, unknown>): void;
  onMessage(listener: (data: Record<string, unknown>, buffers: readonly Uint8Array[]) => unknown): void;
  onClose(listener: (data: Record<string, unknown>) => unknown): void;
}

/** The notebook kernel that runs this cell. */
declare const jupyter: {
  /** Aborted when the running cell is interrupted: hand it to what takes an `AbortSignal`. */
  readonly signal: AbortSignal;
  readonly comms: {
    /** Opens a channel to the page's handler of this name. */
    open(
      target: string,
      data?: Record<string, unknown>,
      extra?: { readonly metadata?: Record<string, unknown>; readonly buffers?: readonly Uint8Array[] },
    ): UnilabComm;
    /** Answers channels that the page opens under this name. */
    register(target: string, listener: (comm: UnilabComm, data: Record<string, unknown>) => unknown): void;
    /** A listener as part of this cell: what it writes is shown here, whenever it is called. */
    bind<A extends unknown[], R>(listener: (...args: A) => R): (...args: A) => R;
  };
};
