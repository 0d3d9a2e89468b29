/** What an engine says of itself, and the error of one that cannot start. */

export type EngineName = 'tensorflow' | 'webgpu' | 'wasm';

/** `bf16`: matrix products may round their inputs to bfloat16 (training). `float32`: they may not (parity tests). */
export type Precision = 'bf16' | 'float32';

export interface EngineOptions {
  /** Forces one engine; default: the first of tensorflow, webgpu, wasm that starts. `UNILAB_ENGINE` does the same. */
  engine?: EngineName;
  /** Default `bf16`, or what `UNILAB_PRECISION` says. */
  precision?: Precision;
  /**
   * On CPUs: compiled functions in TensorFlow's own mixed precision instead of the project's casts. It rounds logits, too,
   * so that nothing equals single operations to the bit. Default false, or what `UNILAB_MIXED_PRECISION=1` says.
   */
  mixedPrecision?: boolean;
  /** No line on stderr when an engine takes over for a better one. Default false. */
  quiet?: boolean;
}

/** What every engine is started with. */
export interface StartOptions {
  readonly precision: Precision;
  readonly mixed: boolean;
}

export interface EngineReport {
  readonly engine: EngineName;
  readonly device: string;
  readonly precision: Precision;
  /** Version of the library behind the engine, e.g. TensorFlow's. */
  readonly library: string;
  readonly tfjs: string;
  /** Whether UniLab's own fused TensorFlow kernels are in use (CPU only). */
  readonly ownKernels?: boolean;
  /** Whether functions are traced and run as one; the tensorflow engine alone. */
  readonly traced?: boolean;
  /** Whether compiled functions are in TensorFlow's own mixed precision. */
  readonly mixedPrecision?: boolean;
  /** What TensorFlow was linked for: with CUDA's libraries it runs on a CPU, too. */
  readonly flavor?: 'cpu' | 'cuda';
  /** Why better engines were passed over, one line each with the mend; none when the first choice runs. */
  readonly passedOver?: readonly string[];
}

/** An engine could not start: what was wrong, and what to do. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  constructor(
    what: string,
    readonly mend: string,
  ) {
    super(`${what} (${mend})`);
  }
}
