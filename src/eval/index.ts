export * from '../data/rules';
export * from '../text/bleu';
export * from './dsog-theory';
export * from './intervals';
export * from './merge';
export * from './merge-folders';
export * from './metrics';
export * as papers from './papers';
