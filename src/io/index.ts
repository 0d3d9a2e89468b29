export { CheckpointError, CheckpointStore, type CheckpointContent, type LoadedCheckpoint } from './checkpoints';
export { imageSheet } from './image-sheet';
export { JsonLines } from './json-lines';
export { dataFolder } from './package-root';
export { type Image, encodePng, readImage, type ReadImageOptions, resizeImage, savePng } from './images';
export * from './preprocess';
export * from './safetensors';
export { fromTensor, imagesToTensor, pixelsTensor, tensorToImages, toTensor } from './tensors';
export { RunError } from './run-identity';
export type { RunParts } from './run-tensors';
export {
  type LoggedSample,
  type LoggedStep,
  type Run,
  RunFolder,
  type RunFolderOptions,
  type RunState,
} from './run-folder';
