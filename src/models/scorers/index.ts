/** Frozen judges: every one loads a published checkpoint from a folder, or the small one that ships. */
export * from './bert';
export * from './blip-caption';
export * from './blip-describe';
export * from './blip-itm';
export * from './blip-judge';
export * from './blip2-itm';
export * from './clip';
export { pickScores } from './clip/pick-score';
export * from './dinov2';
export * from './ernie';
export * from './facenet';
export * from './lpips';
export { MiniClip } from './mini-clip';
export { MobileNet } from './mobilenet';
export * from './mtcnn';
export * from './sentences';
export { UseLite } from './use-lite';
export * from './vit';
