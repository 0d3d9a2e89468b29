/** UniLab: everything that notebooks and scripts import. */
export * from './data';
export * from './display';
export * from './engine';
export * from './eval';
export * from './eval/reader';
export * from './io';
export { MiniClip } from './models/experts/mini-clip';
export { MobileNet } from './models/experts/mobilenet';
export { UseLite } from './models/experts/use-lite';
export * from './models/showo';
export * from './recipes/unictokens-r1';
export * from './rewards';
export * from './rl';
export * from './sft';
export * from './text';
