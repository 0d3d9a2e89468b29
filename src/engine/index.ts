export { measureMatmul } from './measure';
export * from './ops';
export * from './random';
export * from './report';
export { startEngine, tf } from './start';
