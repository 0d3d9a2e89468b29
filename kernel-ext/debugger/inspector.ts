/** V8's inspector of the main thread, spoken to from another thread. See https://chromedevtools.github.io/devtools-protocol/v8 */
import { Session } from 'node:inspector';

/** A value in the main thread. */
export interface RemoteValue {
  readonly type: string;
  readonly subtype?: string;
  readonly className?: string;
  readonly value?: unknown;
  readonly unserializableValue?: string;
  readonly description?: string;
  readonly objectId?: string;
  readonly preview?: {
    readonly overflow: boolean;
    readonly properties: readonly { readonly name: string; readonly value?: string; readonly type: string }[];
  };
}

/** A place in a script; line and column count from 0. */
export interface Location {
  readonly scriptId: string;
  readonly lineNumber: number;
  readonly columnNumber?: number;
}

export interface CallFrame {
  readonly callFrameId: string;
  readonly functionName: string;
  readonly location: Location;
  readonly scopeChain: readonly { readonly type: string; readonly object: RemoteValue }[];
}

/** The main thread has stopped. */
export interface Paused {
  readonly reason: string;
  /** What was thrown, or the script that is about to run. */
  readonly data?: RemoteValue & { readonly scriptId?: string; readonly url?: string };
  readonly callFrames: readonly CallFrame[];
  readonly hitBreakpoints?: readonly string[];
}

export interface Property {
  readonly name: string;
  readonly value?: RemoteValue;
  readonly get?: RemoteValue;
}

/** The outcome of an evaluation. */
export interface Evaluated {
  readonly result: RemoteValue;
  readonly exceptionDetails?: { readonly text: string; readonly exception?: RemoteValue };
}

/** Values that are kept for a client go by this name, and are let go together. */
export const objectGroup = 'unilab';

export class Inspector {
  private readonly session = new Session();
  private connected = false;

  /** Hears an event of the inspector's. To be called once for each. */
  on(event: string, listener: (params: unknown) => void): void {
    this.session.on(event, (message: { params?: unknown }) => listener(message.params));
  }

  /** Sends a request. It reaches a busy main thread at its next loop edge or call, and a stopped one at once. */
  post<T>(method: string, params: object = {}): Promise<T> {
    if (!this.connected) {
      this.connected = true;
      this.session.connectToMainThread();
    }
    return new Promise((resolve, reject) => {
      this.session.post(method, params, (error: Error | null, result?: object) => {
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result as T);
      });
    });
  }

  /** Ends the session; the next request begins another. A process with an open session does not end. */
  close(): void {
    if (this.connected) this.session.disconnect();
    this.connected = false;
  }
}
