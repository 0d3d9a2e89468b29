export { type ProcessorConfig, ProcessorConfigError } from './config';
export { ImageProcessor } from './processor';
export type { SizeRule } from './geometry';
export { PILLOW_FILTERS, type ResampleFilter, resampleImage } from './resample';
