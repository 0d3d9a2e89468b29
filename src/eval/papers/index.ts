/** The papers' own numbers, and what follows from them. */
export * from './arithmetic';
export * from './claims';
export * from './schema';
