export * from './safetensors';
export { fromTensor, toTensor } from './tensors';
