/** Where displays go: the notebook kernel, Deno's kernel, or a plain terminal. Chosen when something is shown. */
import type { MimeBundle } from './bundle';
import { TerminalTransport } from './terminal';

/** Takes finished bundles to whoever shows them, in the order of the calls. */
export interface DisplayTransport {
  /** Shows a new display; with an id it can be updated later. The promise settles once the bundle is on its way. */
  show(bundle: Promise<MimeBundle>, id?: string): Promise<void>;
  /** Replaces what every display of this id shows. `final` tells that no other update follows. */
  update(id: string, bundle: Promise<MimeBundle>, final: boolean): Promise<void>;
  /** Clears the cell's output; with `wait` not before the next output comes. */
  clear(wait: boolean): Promise<void>;
}

/** The kernel and cells may hold different copies of this module: they meet in this place. */
interface Meeting {
  transport?: DisplayTransport;
  readonly live: Set<Flushable>;
}

/** Something live whose last state may not have been sent yet. */
export interface Flushable {
  flush(): Promise<void>;
}

const key = Symbol.for('unilab.display');

function meeting(): Meeting {
  const place = globalThis as { [key]?: Meeting };
  return (place[key] ??= { live: new Set() });
}

/** Sets where displays go from now on; `undefined` goes back to choosing by the surroundings. */
export function setDisplayTransport(transport: DisplayTransport | undefined): void {
  meeting().transport = transport;
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

/** The transport in force: the kernel's, else Deno's, else the terminal. */
export function displayTransport(): DisplayTransport {
  const set = meeting().transport;
  if (set) return set;
  const deno = (globalThis as { Deno?: { jupyter?: DenoKernel } }).Deno?.jupyter;
  return (fallback ??=
    deno && typeof deno.broadcast === 'function' ? new DenoTransport(deno) : new TerminalTransport());
}

/** Live displays announce themselves here, so that the kernel can ask for their last state before a cell ends. */
export function liveDisplays(): Set<Flushable> {
  return meeting().live;
}
