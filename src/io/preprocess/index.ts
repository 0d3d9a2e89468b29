export { ImageProcessor, type ProcessorConfig, ProcessorConfigError } from './processor';
export type { SizeRule } from './geometry';
export { PILLOW_FILTERS, type ResampleFilter, resampleImage } from './resample';
