export * from './ensemble';
export * from './face-similarity';
export * from './feature-cosine';
export * from './scorer';
export * from './tier';
