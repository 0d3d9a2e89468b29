/**
 * Widgets: a state that a cell and the notebook's page share. Messages are those of Jupyter's widgets, version 2.1:
 * https://github.com/jupyter-widgets/ipywidgets/blob/main/packages/schema/messages.md
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import { type Displayable, jupyterDisplay, type MimeBundle } from '../bundle';
import { renderBundle } from '../render';
import { type PageComm, pageComms } from './page-comms';
import { joinBuffers, splitBuffers } from './widget-buffers';

/** Who changed a state: somebody at the page, or code. */
export type ChangeOrigin = 'page' | 'code';

/** What listeners get. */
interface Events<S> {
  /** The new values, by name. */
  change: [changes: Partial<S>, origin: ChangeOrigin];
  /** What code in the page sent that is no change of the state. */
  message: [content: unknown, buffers: readonly Uint8Array[]];
  close: [];
}

export interface WidgetOptions<S extends object> {
  /** What cell and page share, with its first values: JSON, and bytes (`Uint8Array`) anywhere in it. */
  readonly state: S;
  /** What stands for the widget where no page is alive (a saved notebook, HTML, a terminal): anything that can be shown. */
  readonly still?: (state: Readonly<S>) => unknown;
  /**
   * Looks at what the page wants to change: what this returns is taken instead, and the page is set right. Default: all is
   * taken, names that the state does not have are not.
   */
  readonly accept?: (changes: Partial<S>) => Partial<S>;
}

/** All open widgets of the process, which may have loaded this module twice: a page that was reloaded asks for them. */
function openWidgets(): Map<string, Widget<object>> {
  const key = Symbol.for('unilab.widgets');
  const holder = globalThis as { [key: symbol]: Map<string, Widget<object>> | undefined };
  return (holder[key] ??= new Map<string, Widget<object>>());
}

const protocol = { target: 'jupyter.widget', version: '2.1.0', control: 'jupyter.widget.control' } as const;

export class Widget<S extends object> implements Displayable {
  private readonly values: S;
  private readonly comm?: PageComm;
  private readonly listeners: { readonly [E in keyof Events<S>]: Set<(...args: Events<S>[E]) => unknown> } = {
    change: new Set(),
    message: new Set(),
    close: new Set(),
  };
  private open = true;

  /** @param model what the page makes of it: names of classes, and what never changes */
  constructor(
    private readonly model: Readonly<Record<string, unknown>>,
    private readonly options: WidgetOptions<S>,
  ) {
    this.values = { ...options.state };
    const comms = pageComms();
    if (!comms) return;
    comms.register(protocol.control, answerForAll);
    const { state, paths, buffers } = this.whole();
    const extra = { metadata: { version: protocol.version }, buffers };
    this.comm = comms.open(protocol.target, { state, buffer_paths: paths }, extra);
    this.comm.onMessage((data, bytes) => this.receive(data, bytes));
    this.comm.onClose(() => this.closed());
    openWidgets().set(this.comm.id, this as unknown as Widget<object>);
  }

  /** Its values now. Change them by {@link Widget.set}. */
  get state(): Readonly<S> {
    return this.values;
  }

  /**
   * Changes values, here and in the page; listeners hear of those that are new.
   * @throws RangeError for a name that the state does not have
   */
  set(changes: Partial<S>): void {
    for (const name of Object.keys(changes))
      if (!Object.hasOwn(this.values, name))
        throw new RangeError(
          `the widget's state has no '${name}': it has ${Object.keys(this.values).join(', ') || 'nothing'}`,
        );
    const changed = this.differing(changes);
    Object.assign(this.values, changed);
    this.sendState('update', changed);
    if (Object.keys(changed).length > 0) this.tell('change', changed, 'code');
  }

  /** Hears of new values, whoever changed them. @returns a function that ends that */
  on(event: 'change', listener: (changes: Partial<S>, origin: ChangeOrigin) => unknown): () => void;
  /** Hears of what code in the page sends by `model.send(content)`. */
  on(event: 'message', listener: (content: unknown, buffers: readonly Uint8Array[]) => unknown): () => void;
  /** The widget was closed, here or there. */
  on(event: 'close', listener: () => unknown): () => void;
  on<E extends keyof Events<S>>(event: E, listener: (...args: Events<S>[E]) => unknown): () => void {
    const bound = pageComms()?.bind(listener) ?? listener;
    const set: Set<(...args: Events<S>[E]) => unknown> = this.listeners[event];
    set.add(bound);
    return () => void set.delete(bound);
  }

  /** Sends something that is no part of the state: in the page, `model.on('msg:custom', (content, buffers) => …)`. */
  send(content: unknown, buffers: readonly Uint8Array[] = []): void {
    if (this.open) this.comm?.send({ method: 'custom', content }, buffers);
  }

  /** Takes it out of the page. Its state stays readable. */
  close(): void {
    this.comm?.close();
    this.closed();
  }

  async [jupyterDisplay](): Promise<MimeBundle> {
    const still = this.options.still?.(this.values);
    const bundle: MimeBundle = still === undefined ? { 'text/plain': String(this) } : await renderBundle(still);
    if (!this.comm || !this.open) return bundle;
    const view = { version_major: 2, version_minor: 0, model_id: this.comm.id };
    return { 'application/vnd.jupyter.widget-view+json': view, ...bundle };
  }

  toString(): string {
    const { state } = splitBuffers(this.values);
    return `${this.constructor.name} ${inspect(state, { depth: 1, maxArrayLength: 3 })}`;
  }

  [inspect.custom](): string {
    return String(this);
  }

  /** What a page needs to show it anew. */
  whole(): ReturnType<typeof splitBuffers> {
    return splitBuffers({ ...this.model, ...this.values });
  }

  private closed(): void {
    if (!this.open) return;
    this.open = false;
    if (this.comm) openWidgets().delete(this.comm.id);
    this.tell('close');
  }

  private differing(changes: Partial<S>): Partial<S> {
    const entries = Object.entries(changes) as [keyof S, unknown][];
    return Object.fromEntries(
      entries.filter(([name, value]) => !isDeepStrictEqual(this.values[name], value)),
    ) as Partial<S>;
  }

  /**
   * Calls all listeners, also when one fails.
   * @returns what asynchronous ones have promised
   * @throws what the first one threw
   */
  private tell<E extends keyof Events<S>>(event: E, ...args: Events<S>[E]): unknown[] {
    const failures: { readonly error: unknown }[] = [];
    const promised: unknown[] = [];
    const listeners: ReadonlySet<(...args: Events<S>[E]) => unknown> = this.listeners[event];
    for (const listener of listeners) {
      try {
        promised.push(listener(...args));
      } catch (error) {
        failures.push({ error });
      }
    }
    if (failures.length > 0) throw failures[0].error;
    return promised;
  }

  private sendState(method: 'update' | 'echo_update', changes: Partial<S>): void {
    if (!this.open || !this.comm || Object.keys(changes).length === 0) return;
    const { state, paths, buffers } = splitBuffers(changes);
    this.comm.send({ method, state, buffer_paths: paths }, buffers);
  }

  /** A message of the page. @returns settles when listeners are done @throws what they throw */
  private receive(data: Record<string, unknown>, buffers: readonly Uint8Array[]): Promise<unknown> | undefined {
    if (data.method === 'custom') return Promise.all(this.tell('message', data.content, buffers));
    if (data.method === 'request_state') {
      const { state, paths, buffers: bytes } = this.whole();
      this.comm?.send({ method: 'update', state, buffer_paths: paths }, bytes);
    }
    if (data.method !== 'update') return undefined;
    const paths = (data.buffer_paths ?? []) as (string | number)[][];
    const changed = this.takeFromPage(
      joinBuffers({ state: (data.state ?? {}) as Record<string, unknown>, paths, buffers }),
    );
    return Object.keys(changed).length === 0 ? undefined : Promise.all(this.tell('change', changed, 'page'));
  }

  /** Takes what the page wants to change. @returns what has changed */
  private takeFromPage(sent: Readonly<Record<string, unknown>>): Partial<S> {
    const known = Object.fromEntries(
      Object.entries(sent).filter(([name]) => Object.hasOwn(this.values, name)),
    ) as Partial<S>;
    // Other pages of this kernel hear what this one did; then all hear where something else was taken.
    this.sendState('echo_update', known);
    const changed = this.differing(this.options.accept?.(known) ?? known);
    Object.assign(this.values, changed);
    const names = Object.keys({ ...known, ...changed }) as (keyof S)[];
    const other = names.filter((name) => !isDeepStrictEqual(known[name], this.values[name]));
    this.sendState('update', Object.fromEntries(other.map((name) => [name, this.values[name]])) as Partial<S>);
    return changed;
  }
}

/** A page that was loaded anew asks for every widget at once. */
function answerForAll(comm: PageComm): void {
  comm.onMessage(({ method }) => {
    if (method !== 'request_states') return;
    const states: Record<string, unknown> = {};
    const paths: (string | number)[][] = [];
    const buffers: Uint8Array[] = [];
    for (const [id, widget] of openWidgets()) {
      const whole = widget.whole();
      const { _model_name: model_name, _model_module: model_module } = whole.state;
      const model_module_version = whole.state._model_module_version;
      states[id] = { model_name, model_module, model_module_version, state: whole.state };
      paths.push(...whole.paths.map((path) => [id, 'state', ...path]));
      buffers.push(...whole.buffers);
    }
    comm.send({ method: 'update_states', states, buffer_paths: paths }, buffers);
  });
}
