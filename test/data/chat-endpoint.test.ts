import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import {
  ChatEndpoint,
  ChatEndpointError,
  type ChatEndpointOptions,
  type ChatReply,
} from '../../src/data/chat-endpoint';
import { readImage } from '../../src/io';
import { PATIENCE } from '../eventually';

interface Body {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly seed?: number;
}
type Handler = (body: Body, response: ServerResponse, count: number, request: IncomingMessage) => void;

const closing: (() => void)[] = [];
after(() => closing.forEach((close) => close()));

/** A server on this machine; `seen` is what it was asked. */
async function serve(handler: Handler) {
  const seen: Body[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Body;
      handler(body, response, seen.push(body), request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const endpoint = (options: Partial<ChatEndpointOptions> = {}) =>
    new ChatEndpoint({ baseUrl, model: 'judge', timeout: PATIENCE, ...options });
  return { seen, endpoint, baseUrl };
}

function say(response: ServerResponse, text: string, finish_reason = 'stop'): void {
  response.setHeader('content-type', 'application/json');
  const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason }];
  response.end(JSON.stringify({ id: '1', choices, usage: { prompt_tokens: 10, completion_tokens: 2 } }));
}

function folder(): string {
  const made = mkdtempSync(path.join(os.tmpdir(), 'chat-'));
  closing.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const questionOf = (body: Body): string => {
  const parts = body.messages[body.messages.length - 1].content as readonly { type: string; text?: string }[];
  return parts.find(({ type }) => type === 'text')?.text ?? '';
};

const values = (replies: readonly ChatReply<unknown>[]) =>
  replies.map((reply) => ('value' in reply ? reply.value : reply.error));

describe('ChatEndpoint', () => {
  it('sends rubric, text and image, and prices the answer', async () => {
    const { endpoint, seen } = await serve((_, response) => say(response, 'yes'));
    const chat = endpoint({ price: { prompt: 100_000, completion: 500_000 } });
    const image = { width: 1, height: 2, rgb: Uint8Array.of(255, 0, 0, 0, 0, 255) };
    const replies = await chat.ask([{ system: 'Say yes or no.', parts: [image, 'Is it red?'], seed: 3 }]);
    assert.deepEqual(replies, [{ value: 'yes', text: 'yes', cached: false }]);
    assert.deepEqual(chat.usage, { cached: 0, attempts: 1, promptTokens: 10, completionTokens: 2, cost: 2 });
    assert.equal(seen[0].model, 'judge');
    assert.equal(seen[0].seed, 3);
    assert.deepEqual(seen[0].messages[0], { role: 'system', content: 'Say yes or no.' });
    const [{ image_url }] = seen[0].messages[1].content as [{ image_url: { url: string } }];
    const sent = await readImage(Buffer.from(image_url.url.replace('data:image/png;base64,', ''), 'base64'));
    assert.deepEqual({ ...sent, rgb: [...sent.rgb] }, { ...image, rgb: [...image.rgb] });
  });

  it('asks again after 500, 429 with Retry-After, a cut body, nonsense, no choices and a broken connection', async () => {
    const faults: ((response: ServerResponse) => void)[] = [
      (r) => void r.writeHead(500).end('oops'),
      (r) => void r.writeHead(429, { 'retry-after-ms': '5' }).end('{}'),
      (r) => {
        r.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
        r.write('{"choices": [{"mess');
        setTimeout(() => r.destroy(), 20);
      },
      (r) => void r.writeHead(200, { 'content-type': 'application/json' }).end('<html>bad gateway</html>'),
      (r) => void r.writeHead(200, { 'content-type': 'application/json' }).end('{"choices": []}'),
      (r) => void r.destroy(),
    ];
    const counts = new Map<string, number>();
    const { endpoint } = await serve((body, response) => {
      const question = questionOf(body);
      const count = counts.get(question) ?? 0;
      counts.set(question, count + 1);
      if (count === 0 && question !== 'fine') faults[Number(question)](response);
      else say(response, `answer ${question}`);
    });
    const chat = endpoint();
    const questions = [...faults.keys()].map(String).concat('fine');
    const replies = await chat.ask(questions.map((question) => ({ parts: [question] })));
    assert.deepEqual(
      values(replies),
      questions.map((question) => `answer ${question}`),
    );
    assert.equal(chat.usage.attempts, 2 * faults.length + 1);
  });

  it('gives up on one that stalls in the middle of its body, and answers its neighbors', async () => {
    const { endpoint } = await serve((body, response) => {
      if (questionOf(body) !== 'stall') return say(response, 'here');
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{');
    });
    const replies = await endpoint({ timeout: 3000, maxRetries: 1 }).ask([{ parts: ['stall'] }, { parts: ['go'] }]);
    assert.match('error' in replies[0] ? replies[0].error : '', /timed out/i);
    assert.deepEqual(replies[1], { value: 'here', text: 'here', cached: false });
  });

  it('cannot be flooded', async () => {
    const { endpoint } = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20, 32)));
      };
      response.on('drain', more);
      more();
    });
    const [reply] = await endpoint({ maxRetries: 0 }).ask([{ parts: ['?'] }]);
    assert.match('error' in reply ? reply.error : '', /longer than 8388608 bytes/);
  });

  it('asks again for what cannot be read, so often, and never keeps it', async () => {
    const { endpoint, seen } = await serve((body, response, count) =>
      say(response, questionOf(body) === 'never' ? 'banana' : count < 2 ? 'maybe' : '1'),
    );
    const cacheFolder = folder();
    const chat = endpoint({ cacheFolder });
    const read = (text: string) => {
      if (!/^[01]$/.test(text)) throw new Error('0 or 1 was expected');
      return Number(text);
    };
    assert.deepEqual(values(await chat.ask([{ parts: ['later'] }], read)), [1]);
    assert.equal(seen.length, 2);
    assert.deepEqual(values(await chat.ask([{ parts: ['never'] }], read)), [
      '0 or 1 was expected: the answer was "banana"',
    ]);
    assert.equal(seen.length, 5);
    assert.equal(readdirSync(cacheFolder).length, 1);
  });

  it('does not take an empty or a cut answer for one', async () => {
    const { endpoint } = await serve((body, response) =>
      questionOf(body) === 'empty' ? say(response, ' ') : say(response, 'it shows a', 'length'),
    );
    const replies = await endpoint({ maxRereads: 0 }).ask([{ parts: ['empty'] }, { parts: ['long'] }]);
    assert.match(String(values(replies)[0]), /is empty/);
    assert.match(String(values(replies)[1]), /cut off.*it shows a/);
  });

  it('pays for an answer once: over runs, and for equal requests on their way', async () => {
    const { endpoint, seen } = await serve(
      (body, response) => void setTimeout(() => say(response, questionOf(body)), 20),
    );
    const cacheFolder = folder();
    const requests = ['a', 'b', 'a'].map((question) => ({ parts: [question] }));
    const chat = endpoint({ cacheFolder });
    assert.deepEqual(values(await chat.ask(requests)), ['a', 'b', 'a']);
    assert.equal(seen.length, 2);
    assert.equal(chat.usage.cached, 1);
    const later = endpoint({ cacheFolder, apiKey: 'secret-key' });
    const replies = await later.ask([...requests, { parts: ['a'], seed: 1 }]);
    assert.deepEqual(
      replies.map((reply) => 'cached' in reply && reply.cached),
      [true, true, true, false],
    );
    assert.equal(seen.length, 3);
    const files = readdirSync(cacheFolder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.equal(files.length, 3);
    for (const { parentPath, name } of files)
      assert.doesNotMatch(readFileSync(path.join(parentPath, name), 'utf8'), /secret-key/);
  });

  it('keeps to the number of requests at a time and to the limit on costs', async () => {
    let now = 0;
    let most = 0;
    const { endpoint, seen } = await serve((_, response) => {
      most = Math.max(most, ++now);
      setTimeout(() => (now--, say(response, 'ok')), 10);
    });
    const requests = Array.from({ length: 12 }, (_, i) => ({ parts: [String(i)] }));
    await endpoint({ concurrency: 3 }).ask(requests);
    assert.equal(most, 3);
    const chat = endpoint({ concurrency: 1, price: { prompt: 100_000, completion: 0 }, maxCost: 2 });
    const replies = await chat.ask(requests);
    assert.equal(seen.length, 14);
    assert.equal(values(replies).filter((value) => value === 'the limit on costs is reached').length, 10);
  });

  it('stops at once when no request can succeed, and does not print the key', async () => {
    const { endpoint, seen } = await serve(
      (_, response) => void response.writeHead(401).end('{"error": {"message": "wrong key"}}'),
    );
    const requests = Array.from({ length: 50 }, (_, i) => ({ parts: [String(i)] }));
    await assert.rejects(endpoint({ concurrency: 2, apiKey: 'secret-key' }).ask(requests), (error: Error) => {
      assert.ok(error instanceof ChatEndpointError);
      assert.match(error.message, /does not answer as 'judge' .*401.*UNILAB_CHAT_KEY/);
      assert.doesNotMatch(error.message, /secret-key/);
      return true;
    });
    assert.ok(seen.length <= 2);
    assert.throws(() => new ChatEndpoint({ baseUrl: 'localhost', model: 'm' }), /no http\(s\) address/);
  });
});
