/** Where displays go: the notebook kernel, Deno's kernel, or a plain terminal. Chosen when something is shown. */
import type { DisplayTransport, MimeBundle } from './bundle';
import { TerminalTransport } from './terminal';

/** What the kernel and cells share, although each may have loaded a copy of this module. */
interface SharedState {
  transport?: DisplayTransport;
  readonly live: Set<Flushable>;
}

/** A live display whose last state may not have been sent yet. */
export interface Flushable {
  flush(): Promise<void>;
}

const key = Symbol.for('unilab.display');

function sharedState(): SharedState {
  const holder = globalThis as { [key]?: SharedState };
  return (holder[key] ??= { live: new Set() });
}

/** Sets where displays go from now on; `undefined` chooses by the environment again. */
export function setDisplayTransport(transport: DisplayTransport | undefined): void {
  sharedState().transport = transport;
}

interface DenoKernel {
  broadcast(type: string, content: object, extra?: object): Promise<void>;
}

/** The kernel of Deno, as {@link DisplayTransport}. Its messages are chained so that they keep their order. */
class DenoTransport implements DisplayTransport {
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly kernel: DenoKernel) {}

  private send(type: string, bundle: Promise<MimeBundle>, id?: string): Promise<void> {
    bundle.catch(() => undefined); // reported below, in its turn
    const sent = this.last.then(async () =>
      this.kernel.broadcast(type, { data: await bundle, metadata: {}, transient: id ? { display_id: id } : {} }),
    );
    this.last = sent.catch(() => undefined);
    return sent;
  }

  show(bundle: Promise<MimeBundle>, id?: string): Promise<void> {
    return this.send('display_data', bundle, id);
  }

  update(id: string, bundle: Promise<MimeBundle>): Promise<void> {
    return this.send('update_display_data', bundle, id);
  }

  clear(wait: boolean): Promise<void> {
    return this.kernel.broadcast('clear_output', { wait });
  }
}

let fallback: DisplayTransport | undefined;

/** The transport in use: the kernel's, else Deno's, else the terminal. */
export function displayTransport(): DisplayTransport {
  const set = sharedState().transport;
  if (set) return set;
  const deno = (globalThis as { Deno?: { jupyter?: DenoKernel } }).Deno?.jupyter;
  return (fallback ??=
    deno && typeof deno.broadcast === 'function' ? new DenoTransport(deno) : new TerminalTransport());
}

/** Live displays that have something to send: the kernel flushes them before a cell ends. */
export function liveDisplays(): Set<Flushable> {
  return sharedState().live;
}
