export * from './benchmarks';
export * from './bleu';
export * from './intervals';
export * from './merge';
export * from './merge-folders';
export * from './metrics';
export * as papers from './papers';
