export { CheckpointError, CheckpointStore, type CheckpointContent, type LoadedCheckpoint } from './checkpoints';
export { JsonLines } from './json-lines';
export { dataFolder } from './package-root';
export { type Image, encodePng, readImage, resizeImage, savePng } from './images';
export * from './preprocess';
export * from './safetensors';
export { fromTensor, imagesToTensor, tensorToImages, toTensor } from './tensors';
export {
  type LoggedSample,
  type LoggedStep,
  type Run,
  RunError,
  RunFolder,
  type RunFolderOptions,
  type RunParts,
  type RunState,
} from './run-folder';
