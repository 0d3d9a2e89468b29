/** Jupyter messages on the wire: signed JSON parts behind ZeroMQ routing identities. Kernel and client share this. */
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';

/** The protocol version that kernel and client speak. */
export const protocolVersion = '5.5';

/** A message's header; see https://jupyter-client.readthedocs.io/en/latest/messaging.html */
export interface Header {
  readonly msg_id: string;
  readonly session: string;
  readonly username: string;
  readonly date: string;
  readonly msg_type: string;
  readonly version: string;
  /** The subshell that a request is for. */
  readonly subshell_id?: string | null;
}

export type Json = Record<string, unknown>;

/** A field that should be text; anything else counts as missing. */
export function textOf(value: unknown, missing = ''): string {
  return typeof value === 'string' ? value : missing;
}

/** One message. `parent` is empty where nothing was answered; `buffers` are binary parts, as comms use them. */
export interface Message {
  readonly identities: readonly Buffer[];
  readonly header: Header;
  readonly parent: Partial<Header>;
  readonly metadata: Json;
  readonly content: Json;
  readonly buffers: readonly Buffer[];
}

/** What a client or a starter writes to tell where the kernel listens. */
export interface ConnectionInfo {
  readonly transport: string;
  readonly ip: string;
  readonly key: string;
  readonly signature_scheme: string;
  readonly shell_port: number;
  readonly iopub_port: number;
  readonly stdin_port: number;
  readonly control_port: number;
  readonly hb_port: number;
  readonly kernel_name?: string;
}

/** The ZeroMQ address of a port: for `ipc`, a number at the end of a path. */
export function addressOf({ transport, ip }: ConnectionInfo, port: number): string {
  return `${transport}://${ip}${transport === 'ipc' ? '-' : ':'}${port}`;
}

const delimiter = Buffer.from('<IDS|MSG>');

/** A new header of a session. */
export function newHeader(msgType: string, session: string, username = 'unilab'): Header {
  return {
    msg_id: randomUUID(),
    session,
    username,
    date: new Date().toISOString(),
    msg_type: msgType,
    version: protocolVersion,
  };
}

function sign(key: string, parts: readonly (string | Buffer)[]): string {
  if (!key) return '';
  const hash = createHmac('sha256', key);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** The frames of a message. @param key the connection's key; empty: unsigned */
export function encode(key: string, message: Message): (string | Buffer)[] {
  const parts = [message.header, message.parent, message.metadata, message.content].map((part) => JSON.stringify(part));
  return [...message.identities, delimiter, sign(key, parts), ...parts, ...message.buffers];
}

/**
 * The message of some frames.
 * @throws Error for frames without a delimiter, with too few parts, or with a signature that does not fit the key
 */
export function decode(key: string, frames: readonly Buffer[]): Message {
  const at = frames.findIndex((frame) => frame.equals(delimiter));
  if (at < 0) throw new Error('a message without the delimiter <IDS|MSG> was dropped');
  const [signature, ...rest] = frames.slice(at + 1);
  const parts = rest.slice(0, 4);
  if (parts.length < 4) throw new Error(`a message with ${parts.length} of 4 parts was dropped`);
  const wanted = Buffer.from(sign(key, parts));
  if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) {
    throw new Error('a message whose signature does not fit the connection key was dropped');
  }
  const [header, parent, metadata, content] = parts.map((part) => JSON.parse(part.toString()) as unknown);
  return {
    identities: frames.slice(0, at),
    header: header as Header,
    parent: parent as Partial<Header>,
    metadata: metadata as Json,
    content: content as Json,
    buffers: rest.slice(4),
  };
}
