/** From codes to what can be looked at. */
import { tf } from '../../engine';
import { type Picture, tensorToPictures } from '../../io';
import type { ShowoModel } from '../../models/showo/model';

/** Codes -> pictures, clipped to what pixels can show. */
export async function decodePictures(model: ShowoModel, codes: readonly Int32Array[]): Promise<Picture[]> {
  const pixels = tf.tidy(() => tf.clipByValue(model.images.decode(codes, model.grid), -1, 1));
  const pictures = await tensorToPictures(pixels);
  pixels.dispose();
  return pictures;
}
