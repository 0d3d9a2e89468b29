/** Answers of an OpenAI-compatible endpoint: read whole from the network, kept on the disk. */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../io/write-file';

/** The part of a chat completion that is used. */
export const completion = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string() }), finish_reason: z.string().nullish() }))
    .min(1),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).partial().nullish(),
});

const stored = z.object({ text: z.string(), finished: z.boolean() });

/** What a model said; `finished` is false when it was cut off at the longest answer that was asked for. */
export type Answer = z.output<typeof stored>;

/** No answer of a chat is longer. */
const maxBodyBytes = 8 << 20;

/**
 * Reads the body within the attempt, so that one that stalls, breaks off or says something else fails the attempt, and
 * is retried as a broken connection is.
 */
export async function wholeAnswer(response: Response): Promise<Response> {
  if (!response.ok || response.body === null) return response;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    bytes += read.value.length;
    if (bytes > maxBodyBytes) {
      await reader.cancel();
      throw new Error(`the answer is longer than ${maxBodyBytes} bytes`);
    }
    chunks.push(read.value);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const { success } = completion.safeParse(jsonOf(text));
  if (!success) throw new Error(`the answer is no chat completion: ${JSON.stringify(text.slice(0, 120))}`);
  return new Response(text, { status: response.status, headers: { 'content-type': 'application/json' } });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The answer in a file; undefined when there is none, or it is none. */
export async function storedAnswer(file: string): Promise<Answer | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : stored.safeParse(jsonOf(text)).data;
}

export async function keepAnswer(file: string, answer: Answer): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify(answer)}\n`);
}
