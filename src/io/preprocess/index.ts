export { type ProcessorConfig, ProcessorConfigError } from './config';
export { ImageProcessor } from './processor';
export { centreCrop, padToSquare, type SizeRule } from './geometry';
export { PILLOW_FILTERS, type ResampleFilter, resampleImage } from './resample';
