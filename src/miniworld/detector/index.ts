export { SceneDetector, READER_FOLDER } from './reader';
export { decodeDetections, type CellProbabilities, type ReadItem, type Detections } from './decode';
export * from './score';
export { CATEGORIES, IDENTITIES } from './labels';
export { SubjectSimilarity } from './likeness';
