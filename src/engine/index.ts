export { inFloat32 } from './bf16-products';
export * from './functions';
export { measureMatmul } from './measure';
export * from './ops';
export { type KernelProfile, type KernelTime, profileKernels, profileTable } from './profile';
export * from './random';
export { readValues, tracedValues } from './read-values';
export * from './report';
export { runningEngine, startEngine, tf } from './start';
