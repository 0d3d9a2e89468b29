/**
 * A language or vision-language model behind an OpenAI-compatible endpoint (`POST BASE/chat/completions`: vLLM, SGLang,
 * llama.cpp, hosted ones), as judges and data engines ask it: many requests at once, each retried with back-off, paid
 * for once (answers are kept on the disk) and failing alone. The protocol, the back-off (`Retry-After` included) and the
 * time limit are the `openai` package's; it has no dependencies. What it leaves open is added here: an answer that
 * stalls, breaks off or is no answer at all counts as a failed attempt too.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import OpenAI from 'openai';
import pLimit from 'p-limit';
import { encodePng, type Image } from '../io';
import { type Answer, completion, keepAnswer, storedAnswer, wholeAnswer } from './chat-answer';

export interface ChatEndpointOptions {
  /** Up to and with the version: `http://localhost:8000/v1`. */
  readonly baseUrl: string;
  /** The name that the server knows the model by. */
  readonly model: string;
  /** Default: the variable `UNILAB_CHAT_KEY`; local servers need none. Never stored, never printed. */
  readonly apiKey?: string;
  /** Answers are kept here and asked for once, by whichever run. Default: not kept. */
  readonly cacheFolder?: string;
  /** Requests on their way at a time. Default 8. */
  readonly concurrency?: number;
  /** Attempts after the first one that failed: broken connection, time limit, 408, 409, 429, 5xx, a broken body. Default 4. */
  readonly maxRetries?: number;
  /** Milliseconds an attempt may take, its body included. Default 120000. */
  readonly timeout?: number;
  /** How often an answer that cannot be read is asked for again. Default 2. */
  readonly maxRereads?: number;
  /** Price of a million tokens in any currency, for {@link ChatUsage.cost}. Default 0. */
  readonly price?: { readonly prompt: number; readonly completion: number };
  /** Nothing more is asked once this much is spent. Default: no limit. */
  readonly maxCost?: number;
}

/** One question; what is said before it by `system` is the rubric. */
export interface ChatRequest {
  readonly system?: string;
  /** Text and images in their order. */
  readonly parts: readonly (string | Image)[];
  /** Default 256. */
  readonly maxTokens?: number;
  /** Default 0. */
  readonly temperature?: number;
  /** Tells samples of one question apart, on the disk and (where it knows seeds) at the server. */
  readonly seed?: number;
}

/** What became of a request. */
export type ChatReply<T = string> =
  { readonly value: T; readonly text: string; readonly cached: boolean } | { readonly error: string };

/**
 * Makes a value of an answer; throws when it cannot be read, which asks again.
 * @param finished false when the answer was cut off at `maxTokens`
 */
export type ReadAnswer<T> = (text: string, finished: boolean) => T;

/** What was asked and paid since the endpoint was made. */
export interface ChatUsage {
  /** Requests that were answered from the disk, or with another's answer. */
  readonly cached: number;
  /** Requests sent, retries included. */
  readonly attempts: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** By the prices given; servers that do not count tokens cost 0. */
  readonly cost: number;
}

/** The endpoint cannot be used at all: wrong key, unknown model or address. */
export class ChatEndpointError extends Error {
  override readonly name = 'ChatEndpointError';
}

export class ChatEndpoint {
  private readonly client: OpenAI;
  private readonly limit: ReturnType<typeof pLimit>;
  private readonly onTheirWay = new Map<
    string,
    { readonly read: unknown; readonly reply: Promise<ChatReply<unknown>> }
  >();
  private readonly spent = { cached: 0, attempts: 0, promptTokens: 0, completionTokens: 0 };

  /** @throws ChatEndpointError for a base URL that is none */
  constructor(private readonly options: ChatEndpointOptions) {
    const { baseUrl, apiKey = process.env.UNILAB_CHAT_KEY ?? 'none', maxRetries = 4, timeout = 120_000 } = options;
    if (!/^https?:$/.test(protocolOf(baseUrl)))
      throw new ChatEndpointError(`the endpoint '${baseUrl}' is no http(s) address such as http://localhost:8000/v1`);
    this.limit = pLimit(options.concurrency ?? 8);
    this.client = new OpenAI({
      baseURL: baseUrl,
      apiKey,
      maxRetries,
      timeout,
      organization: null,
      project: null,
      logLevel: 'off',
      fetch: async (input, init) => {
        this.spent.attempts++;
        return wholeAnswer(await fetch(input, init));
      },
    });
  }

  /** The model's name: a judge stands under it in tables. */
  get name(): string {
    return this.options.model;
  }

  get usage(): ChatUsage {
    const { prompt, completion: answer } = this.options.price ?? { prompt: 0, completion: 0 };
    const { promptTokens, completionTokens } = this.spent;
    return { ...this.spent, cost: (promptTokens * prompt + completionTokens * answer) / 1e6 };
  }

  /**
   * Asks all, in any order. @param read default: the text, which must not be empty or cut off
   * @returns one reply a request; one that failed, or could not be read, does not take others with it
   * @throws ChatEndpointError when no request can succeed (401, 403, 404)
   */
  ask(requests: readonly ChatRequest[]): Promise<ChatReply[]>;
  ask<T>(requests: readonly ChatRequest[], read: ReadAnswer<T>): Promise<ChatReply<T>[]>;
  async ask(requests: readonly ChatRequest[], read: ReadAnswer<unknown> = wholeText): Promise<ChatReply<unknown>[]> {
    let stopped: Error | undefined;
    const replies = await Promise.all(
      requests.map((request) =>
        this.limit(async () => {
          if (stopped) return { error: 'not asked' };
          try {
            return await this.once(request, read);
          } catch (error) {
            stopped = error as Error;
            return { error: 'not asked' };
          }
        }),
      ),
    );
    if (stopped) throw stopped;
    return replies;
  }

  /** Equal requests on their way share one answer. */
  private async once<T>(request: ChatRequest, read: ReadAnswer<T>): Promise<ChatReply<T>> {
    const body = await this.body(request);
    const key = createHash('sha256')
      .update(JSON.stringify([this.options.baseUrl, body]))
      .digest('hex');
    const other = this.onTheirWay.get(key);
    if (other?.read === read) {
      this.spent.cached++;
      return (await other.reply) as ChatReply<T>;
    }
    const own = this.keptOrSent(key, body, read);
    this.onTheirWay.set(key, { read, reply: own });
    try {
      return await own;
    } finally {
      this.onTheirWay.delete(key);
    }
  }

  private async keptOrSent<T>(
    key: string,
    body: OpenAI.ChatCompletionCreateParamsNonStreaming,
    read: ReadAnswer<T>,
  ): Promise<ChatReply<T>> {
    const { cacheFolder } = this.options;
    const file = cacheFolder === undefined ? undefined : path.join(cacheFolder, key.slice(0, 2), `${key}.json`);
    const stored = file === undefined ? undefined : await storedAnswer(file);
    // What was stored for a judge that read otherwise may be unreadable now: it is asked for again.
    const kept = stored && tried(read, stored);
    if (!kept || 'error' in kept) return this.send(body, read, file);
    this.spent.cached++;
    return { ...kept, cached: true };
  }

  private async send<T>(
    body: OpenAI.ChatCompletionCreateParamsNonStreaming,
    read: ReadAnswer<T>,
    file?: string,
  ): Promise<ChatReply<T>> {
    let error = '';
    for (let reading = 0; reading <= (this.options.maxRereads ?? 2); reading++) {
      if (this.usage.cost >= (this.options.maxCost ?? Infinity)) return { error: 'the limit on costs is reached' };
      const answer = await this.complete(body);
      if ('error' in answer) return answer;
      const found = tried(read, answer);
      if ('value' in found) {
        if (file !== undefined) await keepAnswer(file, answer);
        return { ...found, cached: false };
      }
      error = `${found.error}: the answer was ${JSON.stringify(answer.text.slice(0, 120))}`;
    }
    return { error };
  }

  private async complete(body: OpenAI.ChatCompletionCreateParamsNonStreaming): Promise<Answer | { error: string }> {
    try {
      const reply = completion.parse(await this.client.chat.completions.create(body));
      this.spent.promptTokens += reply.usage?.prompt_tokens ?? 0;
      this.spent.completionTokens += reply.usage?.completion_tokens ?? 0;
      const [{ message, finish_reason }] = reply.choices;
      return { text: message.content, finished: finish_reason !== 'length' };
    } catch (error) {
      const { status } = error as { status?: number };
      if (status === 401 || status === 403 || status === 404) throw this.unusable(error as Error);
      return { error: messageOf(error as Error) };
    }
  }

  private unusable(cause: Error): ChatEndpointError {
    const { baseUrl, model } = this.options;
    const todo = 'check the address, the name of the model, and the key in UNILAB_CHAT_KEY';
    return new ChatEndpointError(`${baseUrl} does not answer as '${model}' (${messageOf(cause)}): ${todo}`, { cause });
  }

  private async body({ system, parts, maxTokens = 256, temperature = 0, seed }: ChatRequest) {
    const content = await Promise.all(parts.map(contentOf));
    const rubric = system === undefined ? [] : [{ role: 'system' as const, content: system }];
    return {
      model: this.options.model,
      messages: [...rubric, { role: 'user' as const, content }],
      max_tokens: maxTokens,
      temperature,
      ...(seed !== undefined && { seed }),
    };
  }
}

function protocolOf(address: string): string {
  try {
    return new URL(address).protocol;
  } catch {
    return '';
  }
}

async function contentOf(part: string | Image): Promise<OpenAI.ChatCompletionContentPart> {
  if (typeof part === 'string') return { type: 'text', text: part };
  const png = await encodePng(part);
  return { type: 'image_url', image_url: { url: `data:image/png;base64,${png.toString('base64')}` } };
}

const wholeText: ReadAnswer<string> = (text, finished) => {
  if (text.trim() === '') throw new Error('the answer is empty');
  if (!finished) throw new Error('the answer was cut off at its longest');
  return text;
};

function tried<T>(read: ReadAnswer<T>, { text, finished }: Answer): { value: T; text: string } | { error: string } {
  try {
    return { value: read(text, finished), text };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** The innermost reason is the one that says something: `fetch failed` does not. */
function messageOf(error: Error): string {
  const reasons = [error.message];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) reasons.push(cause.message);
  return [...new Set(reasons.filter(Boolean))].join(': ');
}
