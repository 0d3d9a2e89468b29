/** TypeScript evaluated in a stopped frame, or among the kernel's variables. */
import type { LanguageLink } from '../threads/language-link';
import { type CallFrame, type Evaluated, type Inspector, objectGroup, type RemoteValue } from './inspector';

/** Where all cells' variables are, in the main thread. */
const kernelVariables = '__tslab__.exports';

export interface Outcome {
  readonly result: RemoteValue;
  /** What was thrown, with its stack. */
  readonly error?: string;
}

/** An object literal, which would be a block at the start of a statement. */
const isObjectLiteral = (code: string): boolean => /^\s*\{[^]*\}\s*$/.test(code);

/** Variables of earlier cells are no names of a frame's scopes, although a cell's author sees them as such. */
const amongVariables = (code: string): string => `with (${kernelVariables}) { ${code}\n}`;

const threw = ({ exceptionDetails }: Evaluated, name: string): boolean =>
  exceptionDetails?.exception?.className === name;

export class Evaluation {
  constructor(
    private readonly inspector: Inspector,
    private readonly language: LanguageLink,
  ) {}

  /** @param frame where names are looked up first; none: among the kernel's variables only */
  async evaluate(code: string, frame?: CallFrame): Promise<Outcome> {
    let answer = await this.run(isObjectLiteral(code) ? `(${code})` : code, frame);
    // Only what V8 cannot read as it is goes to the compiler.
    if (threw(answer, 'SyntaxError'))
      answer = await this.run(await this.language.ask<string>({ type: 'strip_types', code }), frame);
    const { result, exceptionDetails } = answer;
    if (!exceptionDetails) return { result };
    return { result, error: exceptionDetails.exception?.description ?? exceptionDetails.text };
  }

  private async run(code: string, frame?: CallFrame): Promise<Evaluated> {
    const options = { generatePreview: true, silent: true, objectGroup };
    if (!frame) return this.inspector.post('Runtime.evaluate', { expression: amongVariables(code), ...options });
    const { callFrameId } = frame;
    const inFrame = (expression: string): Promise<Evaluated> =>
      this.inspector.post('Debugger.evaluateOnCallFrame', { callFrameId, expression, ...options });
    const answer = await inFrame(code);
    return threw(answer, 'ReferenceError') ? inFrame(amongVariables(code)) : answer;
  }

  /** Gives one of the kernel's variables the value of an expression in a frame. @throws Error where that fails */
  async copyToVariables(code: string, name: string, frame?: CallFrame): Promise<void> {
    const { error } = await this.evaluate(`${kernelVariables}[${JSON.stringify(name)}] = ${code}`, frame);
    if (error !== undefined) throw new Error(error);
  }

  /** An object with all of the kernel's variables. */
  async variables(): Promise<RemoteValue> {
    // Cells see a proxy: its properties are copied.
    const expression = `Object.assign({}, ${kernelVariables})`;
    return (await this.inspector.post<Evaluated>('Runtime.evaluate', { expression, objectGroup })).result;
  }
}
