export * from './ber';
export * from './caption-similarity';
export * from './ensemble';
export * from './face-similarity';
export * from './feature-cosine';
export * from './image-text-match';
export { type PictureTextJudge, type PictureTextSample } from './picture-text';
export * from './scorer';
export * from './tier';
