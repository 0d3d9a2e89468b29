/** The page's side of widgets, as a front end keeps it: models by the id of their comm, updated as messages come. */
import assert from 'node:assert/strict';
import type { Json, Message } from '../../kernel-ext/protocol/messages';
import { eventually } from '../eventually';
import type { TestKernel } from './kernel';

export interface PageModel {
  readonly state: Json;
  /** Changes as they came: `update`, `echo_update`, and what they hold. */
  readonly heard: [string, Json][];
  readonly messages: unknown[];
  readonly target: string;
  readonly version: unknown;
  closed: boolean;
}

export class Page {
  readonly models = new Map<string, PageModel>();
  /** The messages that changes from the kernel answer. */
  readonly parents: (string | undefined)[] = [];
  readonly stopListening: () => void;

  constructor(private readonly kernel: TestKernel) {
    this.stopListening = kernel.client.onMessage((message) => this.receive(message));
  }

  private receive({ header, parent, content, metadata, buffers }: Message): void {
    const id = String(content.comm_id);
    const data = (content.data ?? {}) as { method?: string; state?: Json; buffer_paths?: (string | number)[][] };
    if (header.msg_type === 'comm_open')
      this.models.set(id, {
        state: {},
        heard: [],
        messages: [],
        target: String(content.target_name),
        version: metadata.version,
        closed: false,
      });
    const model = this.models.get(id);
    if (!model) return;
    if (header.msg_type === 'comm_close') model.closed = true;
    if (data.method === 'custom') model.messages.push((data as { content?: unknown }).content);
    if (!data.state) return;
    for (const [at, path] of (data.buffer_paths ?? []).entries()) {
      let place = data.state as Record<string | number, unknown>;
      for (const step of path.slice(0, -1)) place = place[step] as Record<string | number, unknown>;
      place[path.at(-1) ?? ''] = buffers[at];
    }
    Object.assign(model.state, data.state);
    if (!data.method) return;
    model.heard.push([data.method, data.state]);
    this.parents.push(parent.msg_id);
  }

  /** The model that was opened last. */
  get last(): { readonly id: string; readonly model: PageModel } {
    const [id, model] = [...this.models].at(-1) ?? [];
    if (id === undefined || !model) throw new Error('no widget was opened');
    return { id, model };
  }

  /** Changes values as somebody at the page does. */
  async change(
    id: string,
    state: Json,
    bufferPaths: (string | number)[][] = [],
    buffers: Buffer[] = [],
  ): Promise<void> {
    await this.send(id, { method: 'update', state, buffer_paths: bufferPaths }, buffers);
  }

  /** Sends a message to a widget, and waits until the kernel is done with it. */
  async send(id: string, data: Json, buffers: Buffer[] = []): Promise<void> {
    await this.begin(id, data, buffers).idle;
  }

  begin(id: string, data: Json, buffers: Buffer[] = []): { readonly id: string; readonly idle: Promise<unknown> } {
    return this.kernel.client.request('comm_msg', { comm_id: id, data }, 'shell', undefined, {}, buffers);
  }

  /** Text that is written from now on, each piece with the message that it answers. */
  text(): () => readonly (readonly [parent: string | undefined, text: string])[] {
    const written: [string | undefined, string][] = [];
    this.kernel.client.onMessage(({ header, parent, content }) => {
      if (header.msg_type === 'stream') written.push([parent.msg_id, String(content.text)]);
    });
    return () => written;
  }

  /** Waits until something is so. @throws Error when it does not come to be */
  async until(what: () => boolean): Promise<void> {
    await eventually(() => assert.ok(what(), `this did not come to be: ${String(what)}`));
  }
}
