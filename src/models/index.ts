/** Backbones: one interface, and a room for each. */
export * as chameleon from './chameleon';
export * from './drawing-steps';
export * from './generate';
export * as janus from './janus';
export * from './load';
export * as showo from './showo';
export type * from './unified';
