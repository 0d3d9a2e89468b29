/** Scenes to pixels: alpha compositing of sprites over a background. */
import type { Scene } from './scene';
import { backgroundKey, spriteKey, type Sprite, type SpriteSheet } from './sprites';
import { IMAGE_SIZE } from './world';

/** Draws `sprite` over `pixels` with its upper left corner at (x, y); parts outside the image are cut off. */
export function composite(pixels: Uint8Array, sprite: Sprite, x: number, y: number): void {
  const { size, rgba } = sprite;
  const rows = Math.min(size, IMAGE_SIZE - y);
  const columns = Math.min(size, IMAGE_SIZE - x);
  for (let row = Math.max(0, -y); row < rows; row++) {
    for (let column = Math.max(0, -x); column < columns; column++) {
      const from = (row * size + column) * 4;
      const alpha = rgba[from + 3];
      if (alpha === 0) continue;
      const to = ((y + row) * IMAGE_SIZE + x + column) * 3;
      for (let c = 0; c < 3; c++) {
        pixels[to + c] = ((rgba[from + c] * alpha + pixels[to + c] * (255 - alpha) + 127) / 255) | 0;
      }
    }
  }
}

/**
 * Renders a scene.
 * @returns RGB bytes `[64, 64, 3]`
 * @throws Error when the sheet lacks a sprite
 */
export function renderScene(scene: Scene, sprites: SpriteSheet): Uint8Array {
  const pixels = new Uint8Array(IMAGE_SIZE * IMAGE_SIZE * 3);
  const { rgba } = sprites.get(backgroundKey(scene.background));
  for (let i = 0; i < IMAGE_SIZE * IMAGE_SIZE; i++) {
    pixels[i * 3] = rgba[i * 4];
    pixels[i * 3 + 1] = rgba[i * 4 + 1];
    pixels[i * 3 + 2] = rgba[i * 4 + 2];
  }
  for (const item of scene.items) composite(pixels, sprites.get(spriteKey(item)), item.x, item.y);
  return pixels;
}
