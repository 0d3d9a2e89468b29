/** The ways in which people and systems end a run: Ctrl-C, SIGTERM, a closed terminal. */
import { constants } from 'node:os';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The run was told to end. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor(signal: (typeof signals)[number]) {
    super(`the run was stopped by ${signal}`);
    this.status = 128 + constants.signals[signal];
  }
  /** The exit status that shells know the signal by. */
  readonly status: number;
}

export interface StopSignal {
  /** Aborted, with a {@link Stopped} as its reason, by the first signal. A second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Signals end the process again. */
  readonly release: () => void;
}

/** Listens for the signals that end a run. */
export function listenForStop(): StopSignal {
  const controller = new AbortController();
  const heard = (signal: (typeof signals)[number]): void => {
    const stopped = new Stopped(signal);
    if (controller.signal.aborted) process.exit(stopped.status);
    controller.abort(stopped);
  };
  for (const signal of signals) process.on(signal, heard);
  return {
    signal: controller.signal,
    release: () => {
      for (const signal of signals) process.off(signal, heard);
    },
  };
}
