import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { ChatEndpoint, type ChatEndpointOptions } from '../../src/data/chat-endpoint';
import type { SubjectPair } from '../../src/data/xcot';
import { endpointParts } from '../../src/data/xcot-endpoint';
import { buildXcot, type XcotError, type XcotProgress } from '../../src/data/xcot-engine';
import { loadXcotRecord, readXcotLines } from '../../src/data/xcot-folder';
import { type Image, JsonLines } from '../../src/io';
import { PATIENCE } from '../eventually';

const closing: (() => void)[] = [];
after(() => closing.forEach((close) => close()));

type Part = 'extract' | 'caption' | 'plan';
interface Asked {
  readonly part: Part;
  /** The last text of the request. */
  readonly text: string;
  readonly images: number;
}
type Handler = (asked: Asked, response: ServerResponse, count: number) => void;

interface Body {
  readonly messages: readonly [
    { readonly content: string },
    { readonly content: readonly { type: string; text?: string }[] },
  ];
}

/** A vision endpoint on this machine; `seen` is what it was asked, retries included. */
async function serve(handler: Handler) {
  const seen: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { messages } = JSON.parse(Buffer.concat(chunks).toString()) as Body;
      const [{ content: rubric }, { content }] = messages;
      const part = rubric.includes('locate') ? 'extract' : rubric.includes('describe') ? 'caption' : 'plan';
      const asked = {
        part,
        text: content.findLast(({ text }) => text)?.text ?? '',
        images: content.filter(({ type }) => type === 'image_url').length,
      } as const;
      seen.push(asked);
      handler(asked, response, seen.filter((one) => one.part === part && one.text === asked.text).length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const endpoint = (options: Partial<ChatEndpointOptions> = {}) =>
    new ChatEndpoint({ baseUrl, model: 'eyes', timeout: PATIENCE, maxRereads: 1, ...options });
  return { seen, endpoint };
}

function say(response: ServerResponse, text: string, finish_reason = 'stop'): void {
  response.setHeader('content-type', 'application/json');
  const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason }];
  response.end(JSON.stringify({ id: '1', choices, usage: { prompt_tokens: 100, completion_tokens: 20 } }));
}

/** What a good model says. */
const good = ({ part, text }: Asked): string =>
  part === 'extract'
    ? 'The box: {"box": [500, 0, 1000, 1000]}'
    : part === 'caption'
      ? `A red mug, ${text}`
      : `It stands left. ${text}`;

function folder(): string {
  const made = mkdtempSync(path.join(os.tmpdir(), 'unilab-xcot-endpoint-'));
  closing.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Black on the left, white on the right. */
const halves: Image = {
  width: 8,
  height: 8,
  rgb: Uint8Array.from({ length: 192 }, (_, i) => (Math.floor(i / 3) % 8 < 4 ? 0 : 255)),
};
const pairOf = (i: number): SubjectPair => ({
  id: `pair ${i}`,
  subject: `small mug`,
  reference: halves,
  target: { ...halves, rgb: new Uint8Array(192).fill(10 + i) },
  prompt: `a mug on shelf ${i}`,
});
const pairs = [0, 1, 2, 3, 4].map(pairOf);

/** Captions are of the reference alone; here each of them names another shelf, so that requests differ. */
const distinct = pairs.map((pair, i) => ({ ...pair, subject: `shelf ${i} mug` }));

async function build(endpoint: ChatEndpoint, out: string, batch = 16, stopAfter = Infinity): Promise<XcotProgress> {
  let last: XcotProgress | undefined;
  let batches = 0;
  for await (const progress of buildXcot(distinct, endpointParts(endpoint, 'eyes'), { folder: out, batch })) {
    last = progress;
    if (++batches === stopAfter) break;
  }
  return last as XcotProgress;
}

describe('X-CoT by a vision endpoint', () => {
  it('cuts the subject out at the box it names, and asks with one image or two', async () => {
    const { endpoint, seen } = await serve((asked, response) => say(response, good(asked)));
    const out = folder();
    const chat = endpoint({ price: { prompt: 10_000, completion: 50_000 } });
    assert.deepEqual(await build(chat, out), { done: 5, failed: 0, skipped: 0 });
    const [line] = await readXcotLines(out);
    assert.deepEqual(
      [line.caption, line.plan],
      ['A red mug, Describe the shelf 0 mug.', 'It stands left. The user asks for: a mug on shelf 0'],
    );
    const { focus } = await loadXcotRecord(out, line);
    assert.deepEqual([...new Set(focus.rgb)], [255]); // the right half, on white
    const images = (part: Part) => new Set(seen.filter((one) => one.part === part).map((one) => one.images));
    assert.deepEqual(
      [images('extract'), images('caption'), images('plan')],
      [new Set([1]), new Set([1]), new Set([2])],
    );
    // Fifteen requests of 100 and 20 tokens.
    assert.equal(chat.usage.attempts, 15);
    assert.equal(chat.usage.cost, 15 * (1 + 1));
  });

  it('outlasts failures, cuts and stalls; what stays wrong fails alone, and is told', async () => {
    const { endpoint } = await serve((asked, response, count) => {
      const { part, text } = asked;
      if (part === 'plan' && text.endsWith('shelf 0') && count === 1) return void response.writeHead(500).end('oops');
      if (part === 'extract' && text.includes('shelf 1') && count === 1) {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '900' });
        return void response.write('{"choices": ['); // stalls: the time limit ends it
      }
      if (part === 'extract' && text.includes('shelf 2')) return say(response, 'It is somewhere.');
      if (part === 'caption' && text.includes('shelf 3')) return say(response, 'A fine green lamp.');
      if (part === 'plan' && text.endsWith('shelf 4')) return say(response, 'It stands on', 'length');
      if (part === 'caption' && text.includes('shelf 0') && count === 1) return say(response, '{"a": 1}');
      say(response, good(asked));
    });
    const out = folder();
    assert.deepEqual(await build(endpoint({ timeout: 4000 }), out), { done: 2, failed: 3, skipped: 0 });
    const errors = await JsonLines.read<XcotError>(path.join(out, 'errors.jsonl'));
    assert.deepEqual(
      errors.map(({ id, part }) => [id, part]),
      [
        ['pair 2', 'extract'],
        ['pair 3', 'caption'],
        ['pair 4', 'plan'],
      ],
    );
    assert.match(errors[0].error, /holds no JSON.*It is somewhere/);
    assert.match(errors[1].error, /does not name the shelf 3 mug: 'A fine green lamp/);
    assert.match(errors[2].error, /cut off after 3 words/);
  });

  it('stopped and begun anew, it pays for no answer twice', async () => {
    const { endpoint, seen } = await serve((asked, response) => say(response, good(asked)));
    const [out, cacheFolder] = [folder(), folder()];
    await build(endpoint({ cacheFolder }), out, 2, 1);
    assert.equal(seen.length, 6);
    assert.deepEqual(await build(endpoint({ cacheFolder }), out, 2), { done: 5, failed: 0, skipped: 2 });
    assert.equal(seen.length, 15);
    const again = endpoint({ cacheFolder });
    await build(again, folder());
    assert.deepEqual([seen.length, again.usage.cached, again.usage.cost], [15, 15, 0]);
  });

  it('ends at once when the key is wrong, and keeps what is there', async () => {
    const { endpoint } = await serve((_, response) => void response.writeHead(401).end('{}'));
    const out = folder();
    await assert.rejects(build(endpoint(), out), /does not answer as 'eyes'/);
    assert.deepEqual(await readXcotLines(out), []);
  });
});
