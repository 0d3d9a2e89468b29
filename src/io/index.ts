export { CheckpointError, CheckpointStore, type CheckpointContent, type LoadedCheckpoint } from './checkpoints';
export { JsonLines } from './json-lines';
export { dataFolder } from './package-root';
export { type Picture, encodePng, readPicture, resizePicture, savePng } from './pictures';
export * from './preprocess';
export * from './safetensors';
export { fromTensor, picturesToTensor, tensorToPictures, toTensor } from './tensors';
