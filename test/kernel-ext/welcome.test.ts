/** Who subscribes to what a kernel publishes is greeted before it hears anything else (JEP 65). */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Subscriber } from 'zeromq';
import { newConnection } from '../../kernel-ext/protocol/connection';
import { addressOf, type ConnectionInfo, decode, type Json } from '../../kernel-ext/protocol/messages';
import { ClientSockets } from '../../kernel-ext/threads/client-sockets';

const folder = mkdtempSync(path.join(tmpdir(), 'unilab-welcome-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A new subscriber, whose subscription lies in the publisher's socket before this returns. */
function subscribe(connection: ConnectionInfo): Subscriber {
  const subscriber = new Subscriber({ receiveTimeout: 20_000 });
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
  const heard = async (subscriber: Subscriber): Promise<Json> => {
    const { header, content } = decode(connection.key, await subscriber.receive());
    return { type: header.msg_type, ...content };
  };
  try {
    for (let i = 0; i < 20; i++) {
      const subscriber = subscribe(connection);
      sockets.publish('status', { execution_state: 'busy' }, {});
      sockets.publish('status', { execution_state: 'idle' }, {});
      assert.deepEqual(await heard(subscriber), { type: 'iopub_welcome', subscription: '' }, `client ${i}`);
      assert.deepEqual(await heard(subscriber), { type: 'status', execution_state: 'busy' });
      assert.deepEqual(await heard(subscriber), { type: 'status', execution_state: 'idle' });
      subscriber.close();
    }
  } finally {
    sockets.close();
  }
});
