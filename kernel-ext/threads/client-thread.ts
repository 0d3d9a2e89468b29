/**
 * The thread that faces the clients. It has all sockets, so it answers while the main thread, which runs the cells,
 * computes or is stopped at a breakpoint. What it cannot answer itself goes on to the main thread as it came.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ChildPipes } from '../process/standard-output';
import { type Header, type Json, type Message, textOf } from '../protocol/messages';
import type { Debugger } from '../debugger/debugger';
import type { ChildOutput } from './child-output';
import { ClientSockets } from './client-sockets';
import { kernelInfo } from './kernel-info';
import { LanguageLink } from './language-link';
import type { Subshells } from './subshells';
import { Usage } from './usage';
import { type ClientThreadData, flags, type FromClientThread, type ToClientThread } from './thread-messages';

const data = workerData as ClientThreadData;
const main = parentPort as MessagePort;
const sockets = new ClientSockets(data.connection);
const language = new LanguageLink(data.language);
/** The last debug_request: events of the debugger answer it. */
let debugRequest: Partial<Header> = {};
/** Made when it is first asked for: few sessions need it, and each start would wait for it. */
let debug: Debugger | undefined;
/** The request that the main thread executes. */
let executing: Header | undefined;
/** That one, or the last one: what children print answers it. */
let lastExecuted: Partial<Header> = {};
let children: ChildOutput | undefined;

/** Whether a cell was passed on that the main thread has not begun. */
let cellWaits = false;
const usage = new Usage();
let subshells: Subshells | undefined;

/** Called when the watcher of signals has one. */
let signalHeard: () => void = () => undefined;
/** Longest wait for that, in milliseconds. */
const signalPatience = 100;
/** From the watcher to the main thread it takes less, in milliseconds. */
const signalDelay = 25;

function getDebugger(): Debugger {
  const { Debugger: Made } = require('../debugger/debugger') as typeof import('../debugger/debugger');
  return (debug ??= new Made(language, data.flags, (event) => sockets.publish('debug_event', event, debugRequest)));
}

function getSubshells(): Subshells {
  const { Subshells: Made } = require('./subshells') as typeof import('./subshells');
  return (subshells ??= new Made(sockets, language, getDebugger));
}

/** How long the main thread has for an orderly end, in milliseconds. */
const shutdownPatience = 2000;

const toMain = (message: FromClientThread): void => main.postMessage(message);

type Answer = (message: Message) => Promise<Json> | Json;

/** The position in the code that a request is about, in code points; the end where it names none. */
const codePosition = ({ code, cursor_pos: at }: Json): { code: string; cursor_pos: number } => ({
  code: textOf(code),
  cursor_pos: typeof at === 'number' ? at : Infinity,
});

/** Requests that are answered here. */
const answers: Readonly<Record<string, Answer>> = {
  kernel_info_request: () => kernelInfo(),
  complete_request: ({ content }) => language.ask({ type: 'complete', ...codePosition(content) }),
  inspect_request: ({ content }) => language.ask({ type: 'inspect', ...codePosition(content) }),
  is_complete_request: ({ content }) => language.ask({ type: 'is_complete', code: textOf(content.code) }),
  usage_request: () => usage.now(),
  debug_request: ({ header, content }) => {
    debugRequest = header;
    return getDebugger().handle(content);
  },
  create_subshell_request: () => getSubshells().create(),
  delete_subshell_request: ({ content }) => getSubshells().remove(String(content.subshell_id)),
  list_subshell_request: () => getSubshells().list(),
  interrupt_request: async () => {
    // A cell that the client sends after the reply is not meant: the signal is to be on its way by then.
    const heard = new Promise<true>((resolve) => (signalHeard = () => resolve(true)));
    process.kill(process.pid, 'SIGINT');
    // What a debugger has stopped ends when the watcher has heard the signal, or where there is none.
    if (!(await Promise.race([heard, sleep(signalPatience)]))) await debug?.interrupt();
    await sleep(signalDelay);
    return {};
  },
};

async function answerHere(answer: Answer, channel: 'shell' | 'control', message: Message): Promise<void> {
  const { header } = message;
  sockets.publish('status', { execution_state: 'busy' }, header);
  try {
    const content = await answer(message);
    sockets.reply(channel, message, header.msg_type === 'debug_request' ? content : { status: 'ok', ...content });
  } catch (error) {
    const { name, message: evalue } = error as Error;
    sockets.reply(channel, message, { status: 'error', ename: name, evalue, traceback: [`${name}: ${evalue}`] });
  } finally {
    sockets.publish('status', { execution_state: 'idle' }, header);
    // A client that looks at the last status only must still see that a cell runs.
    // A debugger's client would ask again after each word of that cell.
    if (executing && header.msg_type !== 'debug_request')
      sockets.publish('status', { execution_state: 'busy' }, executing);
  }
}

/** The main thread may never come back from what it does: then the process is ended from here. */
function endSoon(channel: 'shell' | 'control', message: Message): void {
  void debug?.interrupt();
  setTimeout(() => {
    sockets.reply(channel, message, { status: 'ok', restart: message.content.restart === true });
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50);
  }, shutdownPatience);
}

function receive(channel: 'shell' | 'control', message: Message, frames: readonly Buffer[]): void {
  const type = message.header.msg_type;
  const busy = executing !== undefined || cellWaits;
  const inSubshell = message.header.subshell_id != null && getSubshells().answers(message, busy);
  const answer = inSubshell
    ? (request: Message) => getSubshells().execute(request)
    : Object.hasOwn(answers, type)
      ? answers[type]
      : undefined;
  if (answer) {
    void answerHere(answer, channel, message);
    return;
  }
  if (type === 'execute_request') cellWaits = true;
  if (type === 'shutdown_request') endSoon(channel, message);
  toMain({ kind: 'frames', channel, frames });
}

/** Every message that has come by now is passed on: two turns of the event loop bring in what still lies in a socket. */
async function echo(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  toMain({ kind: 'echo' });
}

function close(): void {
  sockets.close();
  debug?.close();
  // Only when this thread has ended may the process end: zeromq aborts a process with open sockets in a thread.
  setTimeout(() => process.exit(0), 20);
}

function onSignal(): void {
  signalHeard();
  void debug?.interrupt();
}

function readChildren(pipes: ChildPipes): void {
  const { ChildOutput: Made } = require('./child-output') as typeof import('./child-output');
  children = new Made(pipes, (name, text) => sockets.publish('stream', { name, text }, lastExecuted));
}

main.on('message', (message: ToClientThread) => {
  // What a child printed before the cell's next words, or before its end, comes before them.
  if (message.kind !== 'mark') children?.drain();
  switch (message.kind) {
    case 'send':
      return sockets.send(message.channel, message.frames);
    case 'executing':
      [executing, cellWaits] = [message.header, false];
      lastExecuted = message.header ?? lastExecuted;
      return undefined;
    case 'children':
      return readChildren(message.pipes);
    case 'signals':
      return void message.port.on('message', onSignal).unref();
    case 'mark':
      sockets.flush();
      Atomics.add(data.flags, flags.marks, 1);
      return void Atomics.notify(data.flags, flags.marks);
    case 'echo':
      return void echo();
    case 'close':
      return close();
  }
});

sockets
  .open(receive, (frames) => toMain({ kind: 'frames', channel: 'stdin', frames }))
  .then(
    () => toMain({ kind: 'ready' }),
    (error: Error) => toMain({ kind: 'failed', message: error.message }),
  );
