/**
 * Omni-attention (Show-o, Sec. 3.3): text attends causally, an image's tokens attend to each other and to the text
 * before them. Masks are plain bytes (1 = may attend) so that they can be tested exactly; `additiveMask` of
 * `nn/causal-mask` makes the tensor that attention adds to its scores.
 */

type Ids = ArrayLike<number>;

/**
 * Text-to-image layout: text rows causal, rows from `soi` to `eoi` see everything.
 * @param options.hidePads text after the last pad does not see pads, the image sees none (default true, as sampled and trained)
 * @returns `[tokens * tokens]`, row = query
 */
export function textToImageMask(
  ids: Ids,
  tokens: { pad: number; soi: number; eoi: number },
  options: { hidePads?: boolean } = {},
): Uint8Array {
  const n = ids.length;
  const hidePads = options.hidePads ?? true;
  const mask = new Uint8Array(n * n);
  let lastPad = -1;
  for (let i = 0; i < n; i++) if (ids[i] === tokens.pad) lastPad = i;
  let open = 0; // more starts than ends so far: inside an image
  for (let q = 0; q < n; q++) {
    if (ids[q] === tokens.soi) open++;
    const inImage = open > 0 || ids[q] === tokens.eoi;
    if (ids[q] === tokens.eoi) open--;
    const afterPads = q > lastPad;
    for (let k = 0; k < n; k++) {
      if (inImage) mask[q * n + k] = hidePads && ids[k] === tokens.pad ? 0 : 1;
      else mask[q * n + k] = k <= q && !(hidePads && afterPads && k <= lastPad) ? 1 : 0;
    }
  }
  return mask;
}

/** Plain causal text. */
export function causalMask(length: number): Uint8Array {
  const mask = new Uint8Array(length * length);
  for (let q = 0; q < length; q++) mask.fill(1, q * length, q * length + q + 1);
  return mask;
}

/**
 * Understanding layout: causal, and every query sees the columns up to the end of the image.
 * @param eoiPosition the image's last position; the released code takes the first row's for the whole batch, ours each row's own
 */
export function understandingMask(length: number, eoiPosition: number): Uint8Array {
  const mask = causalMask(length);
  for (let q = 0; q < length; q++) mask.fill(1, q * length, q * length + Math.min(eoiPosition + 1, length));
  return mask;
}
