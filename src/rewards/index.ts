export * from './ensemble';
export * from './feature-cosine';
export * from './scorer';
export * from './tier';
