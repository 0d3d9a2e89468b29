export { SceneDetector, DETECTOR_FOLDER } from './detector';
export { decodeDetections, type CellProbabilities, type DetectedItem, type Detections } from './decode';
export * from './score';
export { CATEGORIES, IDENTITIES } from './labels';
export { SubjectSimilarity } from './subject-similarity';
