export { SceneReader, READER_FOLDER } from './reader';
export { decodeReading, type CellProbabilities, type ReadItem, type Reading } from './decode';
export * from './score';
export { CATEGORIES, IDENTITIES } from './labels';
export { ConceptLikeness } from './likeness';
