export {
  type DType,
  type RawTensor,
  type TensorData,
  toFloat32,
  toInt32,
  toBfloat16Bits,
  fromBfloat16Bits,
} from './dtypes';
export { SafetensorsError, type SafetensorsErrorCode } from './errors';
export {
  type ReadOptions,
  type TensorInfo,
  SafetensorsReader,
  checkFinite,
  openSafetensors,
  readSafetensors,
} from './read';
export { type WritableTensor, type WriteOptions, writeSafetensors } from './write';
