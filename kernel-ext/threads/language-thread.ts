/** The thread that has the compiler: it compiles cells, and answers questions about code while a cell computes. */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { LanguageService } from './language-service';
import { flags, type LanguageAnswer, type LanguageNote, type LanguageQuestion } from './thread-messages';

export interface LanguageThreadData {
  readonly folder: string;
  readonly main: MessagePort;
  readonly client: MessagePort;
  readonly flags: Int32Array;
}

type Message = LanguageNote | (LanguageQuestion & { readonly id: number });

const { folder, main, client, flags: shared } = workerData as LanguageThreadData;
const service = new LanguageService(folder);

function handle(port: MessagePort, message: Message): void {
  if (!('id' in message)) {
    if (message.type === 'keep') service.keep(message.missing);
    else if (message.type === 'declare') service.declare(message.name);
    else service.warmUp();
    return;
  }
  let answer: LanguageAnswer;
  try {
    answer = { id: message.id, answer: service.answer(message) };
  } catch (error) {
    answer = { id: message.id, error: (error as Error).message };
  }
  port.postMessage(answer);
  Atomics.add(shared, flags.answers, 1);
  Atomics.notify(shared, flags.answers);
}

main.on('message', (message: Message) => handle(main, message));
client.on('message', (message: Message) => {
  // What the main thread said before this question was asked counts for it.
  const next = (): Message | undefined => receiveMessageOnPort(main)?.message as Message | undefined;
  for (let earlier = next(); earlier; earlier = next()) handle(main, earlier);
  handle(client, message);
});
