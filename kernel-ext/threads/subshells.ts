/**
 * Subshells: further consoles of one kernel, which answer while a cell runs. What they run then is evaluated by V8 in the
 * middle of that cell, among the same variables; declarations do not last. While no cell runs, it is a cell like any other.
 *
 * https://jupyter.org/enhancement-proposals/91-kernel-subshells/kernel-subshells.html
 */
import { randomUUID } from 'node:crypto';
import type { Diagnostic } from 'tslab/dist/converter';
import type { Debugger } from '../debugger/debugger';
import { diagnosticFailure, type Failure } from '../process/errors';
import { type Json, type Message, textOf } from '../protocol/messages';
import type { ClientSockets } from './client-sockets';
import type { LanguageLink } from './language-link';

export class Subshells {
  /** What each has executed by now. */
  private readonly counts = new Map<string, number>();

  constructor(
    private readonly sockets: ClientSockets,
    private readonly language: LanguageLink,
    private readonly debug: () => Debugger,
  ) {}

  create(): Json {
    const id = randomUUID();
    this.counts.set(id, 0);
    return { subshell_id: id };
  }

  /** @throws Error where there is none of this name */
  remove(id: string): Json {
    if (!this.counts.delete(id)) throw new Error(`there is no subshell ${id}`);
    return {};
  }

  list(): Json {
    return { subshell_id: [...this.counts.keys()] };
  }

  /** Whether a message is to be executed here. @param busy whether a cell runs or waits in the main shell */
  answers({ header }: Message, busy: boolean): boolean {
    const { msg_type: type, subshell_id: id } = header;
    return type === 'execute_request' && id != null && (busy || !this.counts.has(id));
  }

  /** Executes a request. @returns the content of its reply @throws Error where there is no such subshell */
  async execute({ header, content }: Message): Promise<Json> {
    const id = header.subshell_id ?? '';
    const count = this.counts.get(id);
    if (count === undefined) throw new Error(`there is no subshell ${id}`);
    const execution_count = count + 1;
    this.counts.set(id, execution_count);
    const silent = content.silent === true;
    const publish = (type: string, published: Json): void => {
      if (!silent) this.sockets.publish(type, published, header);
    };
    const code = textOf(content.code);
    publish('execute_input', { code, execution_count });
    const rest = { execution_count, user_expressions: {}, payload: [] };
    const { failure, data } = await this.run(code);
    if (failure) {
      publish('error', { ...failure });
      return { ...rest, status: 'error', ...failure };
    }
    if (data) publish('execute_result', { execution_count, data, metadata: {} });
    return { ...rest, status: 'ok' };
  }

  private async run(code: string): Promise<{ readonly failure?: Failure; readonly data?: Json }> {
    const diagnostics = await this.language.ask<Diagnostic[]>({ type: 'check', code });
    if (diagnostics.length > 0) return { failure: diagnosticFailure(diagnostics, 'subshell', code) };
    const { error, data } = await this.debug().look(code, false);
    return error === undefined ? { data } : { failure: failureOf(error) };
  }
}

/** What was thrown, by its description in V8: a name, a message, and lines of a stack that are not of the author's code. */
function failureOf(description: string): Failure {
  const [text] = description.split('\n    at ');
  const [, ename = 'Error', evalue = text] = /^(\w+): ([^]*)$/.exec(text) ?? [];
  return { ename, evalue, traceback: [text] };
}
