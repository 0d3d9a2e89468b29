/** A request on its way: what answers it, and what settles it. */
import type { Message } from './messages';

/** A request on its way. */
export interface Request {
  readonly id: string;
  /** The kernel's answer. Rejected with {@link KernelDied}. */
  readonly reply: Promise<Message>;
  /** Settles when the kernel reports `idle` for this request: all its output has arrived. */
  readonly idle: Promise<void>;
}

export interface Pending {
  readonly resolveReply: (message: Message) => void;
  readonly resolveIdle: () => void;
  readonly reject: (error: Error) => void;
  readonly onOutput?: (message: Message) => void;
}

/** Both promises of a request, and what settles them. */
export function promised(): Omit<Pending, 'onOutput'> & Pick<Request, 'reply' | 'idle'> {
  const [reply, idle] = [withResolvers<Message>(), withResolvers<undefined>()];
  reply.promise.catch(() => undefined);
  idle.promise.catch(() => undefined);
  const reject = (error: Error): void => {
    reply.reject(error);
    idle.reject(error);
  };
  return {
    reply: reply.promise,
    idle: idle.promise,
    resolveReply: reply.resolve,
    resolveIdle: () => idle.resolve(undefined),
    reject,
  };
}

/** A promise with what settles it. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((done, failed) => ([resolve, reject] = [done, failed]));
  return { promise, resolve, reject };
}
