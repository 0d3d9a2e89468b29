/** From codes to what can be looked at. */
import { tf } from '../../engine';
import { type Image, tensorToImages } from '../../io';
import type { ShowoModel } from '../../models/showo/model';

/** Codes -> images, clipped to what pixels can show. */
export async function decodeImages(model: ShowoModel, codes: readonly Int32Array[]): Promise<Image[]> {
  const pixels = tf.tidy(() => tf.clipByValue(model.imageTokenizer.decode(codes), -1, 1));
  const images = await tensorToImages(pixels);
  pixels.dispose();
  return images;
}
