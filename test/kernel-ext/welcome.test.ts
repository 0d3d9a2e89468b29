/** Who subscribes to what a kernel publishes is greeted before it hears anything else (JEP 65). */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Subscriber } from 'zeromq';
import { newConnection } from '../../kernel-ext/protocol/connection';
import { addressOf, type ConnectionInfo, decode } from '../../kernel-ext/protocol/messages';
import { ClientSockets } from '../../kernel-ext/threads/client-sockets';
import { PATIENCE } from '../eventually';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-welcome-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A new subscriber, whose subscription most likely lies in the publisher's socket when this returns. */
function subscribe(connection: ConnectionInfo): Subscriber {
  const subscriber = new Subscriber({ receiveTimeout: PATIENCE });
  subscriber.connect(addressOf(connection, connection.iopub_port));
  subscriber.subscribe('');
  // ZeroMQ's own threads bring it there, while this one does nothing.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  return subscriber;
}

test('the welcome comes first, also where something is published in the turn in which a client subscribes', async () => {
  const connection = await newConnection(folder);
  const sockets = new ClientSockets(connection);
  await sockets.open(
    () => undefined,
    () => undefined,
  );
  const heard = async (subscriber: Subscriber): Promise<string> => {
    const { header, content } = decode(connection.key, await subscriber.receive());
    return header.msg_type === 'status' ? String(content.execution_state) : header.msg_type;
  };
  let early = 0;
  try {
    for (let i = 0; i < 20; i++) {
      const subscriber = subscribe(connection);
      for (const execution_state of ['busy', 'idle']) sockets.publish('status', { execution_state }, {});
      assert.equal(await heard(subscriber), 'iopub_welcome', `client ${i}`);
      sockets.publish('stream', { name: 'stdout', text: 'later' }, {});
      const seen: string[] = [];
      while (seen.at(-1) !== 'stream') seen.push(await heard(subscriber));
      // A subscription that took longer than it was given misses what was published before it.
      assert.match(seen.join(), /^(busy,)?(idle,)?stream$/);
      early += Number(seen.length === 3);
      subscriber.close();
    }
  } finally {
    sockets.close();
  }
  assert.ok(early > 0, 'no client had subscribed when something was published');
});
