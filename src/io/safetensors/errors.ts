/** What can be wrong with a safetensors file, each with a code of its own, so that a caller can tell them apart. */

export type SafetensorsErrorCode =
  // the file
  | 'file_not_found'
  | 'no_weights'
  | 'file_too_short'
  | 'header_too_large'
  | 'header_truncated'
  | 'header_length_exceeds_file'
  // the header
  | 'header_not_utf8'
  | 'header_invalid_json'
  | 'header_not_object'
  | 'duplicate_key'
  | 'invalid_metadata'
  | 'invalid_entry'
  | 'unknown_dtype'
  | 'invalid_shape'
  | 'invalid_offsets'
  | 'size_mismatch'
  // the data
  | 'offsets_overlap'
  | 'offsets_gap'
  | 'data_truncated'
  | 'trailing_data'
  | 'non_finite_values'
  // the index of a sharded checkpoint
  | 'invalid_index'
  | 'invalid_shard_name'
  | 'missing_shard'
  | 'missing_tensor'
  | 'unlisted_tensor'
  // calls
  | 'unknown_tensor'
  | 'unsupported_conversion'
  | 'invalid_argument';

/** A safetensors file is broken or cannot be written: which file, which tensor, what is wrong. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';

  /**
   * @param code what kind of fault it is
   * @param file the file (or folder) at fault
   * @param tensor the tensor at fault, when it is one tensor's
   * @param what what is wrong and what was expected
   */
  constructor(
    readonly code: SafetensorsErrorCode,
    readonly file: string,
    readonly tensor: string | undefined,
    what: string,
  ) {
    super(`${file}: ${tensor === undefined ? '' : `tensor '${tensor}': `}${what}`);
  }
}
