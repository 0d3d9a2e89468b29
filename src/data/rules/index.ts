/** Scoring rules of published benchmarks, as pure functions of records: no model is involved. */
export * from './dpg-bench';
export * from './geneval';
export * from './geneval-verdict';
export * from './multiple-choice';
export * from './pope';
export * from './unify-bench';
export * from './wise';
