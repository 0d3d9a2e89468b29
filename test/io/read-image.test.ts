/** Images of every kind, with the numbers of Pillow 13.0.0: `Image.open(bytes).convert('RGB').tobytes()`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readImage } from '../../src/io';

/** What it is, the file in base64, and Pillow's RGB. All are one row of pixels. */
const FILES: readonly (readonly [what: string, file: string, rgb: readonly number[]])[] = [
  [
    'CMYK TIFF',
    'SUkqAAgAAAAKAAABBAABAAAAAgAAAAEBBAABAAAAAQAAAAIBAwAEAAAAhgAAAAMBAwABAAAAAQAAAAYBAwABAAAABQAAABEBBAABAAAAjgAAABUBAwABAAAABAAAABYBBAABAAAAAQAAABcBBAABAAAACAAAABwBAwABAAAAAQAAAAAAAAAIAAgACAAIAAXr4QD1N9dk',
    [250, 20, 30, 6, 122, 24],
  ],
  [
    '16-bit RGB: the upper 8 bits',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABEAIAAAAr0DSeAAAAFUlEQVR4nGNgYGD4z8jQ8P8/g5AJABVbA8VGtFGkAAAAAElFTkSuQmCC',
    [0, 0, 1, 128, 255, 18],
  ],
  [
    '16-bit RGB with alpha',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABEAYAAACksqPJAAAAGUlEQVR4nGNgYGD4z8jAkNLw/z+DkAkDAwAiawQpf/4rqQAAAABJRU5ErkJggg==',
    [0, 0, 1, 128, 255, 18],
  ],
  [
    '16-bit gray: cut off at 255',
    'iVBORw0KGgoAAAANSUhEUgAAAAQAAAABEAAAAACMx4xSAAAAEUlEQVR4nGNgYGA4wcjQ8B8ABfQCSTnaa+wAAAAASUVORK5CYII=',
    [0, 0, 0, 200, 200, 200, 255, 255, 255, 255, 255, 255],
  ],
  [
    '16-bit gray TIFF',
    'SUkqAAgAAAAJAAABBAABAAAABAAAAAEBBAABAAAAAQAAAAIBAwABAAAAEAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAAegAAABYBBAABAAAAAQAAABcBBAABAAAACAAAABwBAwABAAAAAQAAAAAAAAAAAMgAAAH/gA==',
    [0, 0, 0, 200, 200, 200, 255, 255, 255, 255, 255, 255],
  ],
  [
    '16-bit gray with alpha: the upper 8 bits',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABEAQAAAAOu2tCAAAAEUlEQVR4nGNo+M/AIGTy/z8ADuMDxKnyc1EAAAAASUVORK5CYII=',
    [128, 128, 128, 18, 18, 18],
  ],
  [
    'gray of float32: cut off at 255',
    'SUkqAAgAAAAKAAABBAABAAAAAgAAAAEBBAABAAAAAQAAAAIBAwABAAAAIAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAAhgAAABYBBAABAAAAAQAAABcBBAABAAAACAAAABwBAwABAAAAAQAAAFMBAwABAAAAAwAAAAAAAAAAAAA/AACWQw==',
    [0, 0, 0, 255, 255, 255],
  ],
  [
    'gray',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAC0lEQVR4nGNIOQEAAZMBLYFDvnYAAAAASUVORK5CYII=',
    [100, 100, 100, 200, 200, 200],
  ],
  [
    'gray with alpha',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAQAAABeK7cBAAAADUlEQVR4nGNIYTjRAAADpQGt43CSTAAAAABJRU5ErkJggg==',
    [100, 100, 100, 200, 200, 200],
  ],
  [
    'black and white',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABAQAAAADcWUInAAAACklEQVR4nGNwAAAAQgBBKTf07wAAAABJRU5ErkJggg==',
    [0, 0, 0, 255, 255, 255],
  ],
  [
    'RGB with alpha: stored colors',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAYAAAD0In+KAAAAEUlEQVR4nGPkEpFjkJOTawAAAzABGGcaDHsAAAAASUVORK5CYII=',
    [10, 20, 30, 40, 50, 60],
  ],
  ['WebP with alpha', 'UklGRiAAAABXRUJQVlA4TBQAAAAvAQAAEA9wCo8reNRjAANHBSL6Hw==', [10, 20, 30, 40, 50, 60]],
  [
    'RGB with a transparent color',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAABnRSTlMACgAUAB7FNin/AAAAD0lEQVR4nGPkEpGTk5MDAAHaAJjUg27pAAAAAElFTkSuQmCC',
    [10, 20, 30, 40, 50, 60],
  ],
  [
    'palette',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABAQMAAADO7O3JAAAABlBMVEUKFB4oMjzVG7TpAAAACklEQVR4nGNwAAAAQgBBKTf07wAAAABJRU5ErkJggg==',
    [10, 20, 30, 40, 50, 60],
  ],
  [
    'palette with a transparent color',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABAQMAAADO7O3JAAAABlBMVEUKFB4oMjzVG7TpAAAAAXRSTlMAQObYZgAAAApJREFUeJxjcAAAAEIAQSk39O8AAAAASUVORK5CYII=',
    [10, 20, 30, 40, 50, 60],
  ],
  [
    'EXIF that says "turned": as it is stored',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAAGmVYSWZNTQAqAAAACAABARIAAwAAAAEABgAAAAAAANZnS2kAAAAPSURBVHicY2RkYmZmZgYAADwAEdV+RuYAAAAASUVORK5CYII=',
    [1, 2, 3, 4, 5, 6],
  ],
  [
    'a Display P3 profile: not applied',
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAABP2lDQ1BpY2MAABiVfZC/SwJxGMY/l5V1WBA5Fhyh0FAQOdRSgRcFQRFqoDadp2agctz3wuZqqiVqibamGiJoaGjSsTEIHCv8AxoKaujHxVcHLahneT88PC/vywPKY94siHYNCkXHjsyHtXgiqXlrePDTTS+DhimsxehcDEAYJWE6dp4feq2iyHk3mjOK6a3amb23O/MWnL4+eApUL/hfajojTOADCJiW7YCiAUMlx5I8C/jNnJEGJQ6M2PFEEpQd6a81+EhyqsHnku1YRAelAmhrLZxq4UJ+Q96Vkt/7MsWVKNAFDCBYJoT+R6azntHRGQPZ1+8eRDY03tjyhaHj3nVfguA9hM99130/cd2vJfAcQ8Xf3N9+gKmypKa3UIbLCVCvmt7wJPSpcLNpGbZRtzxAW3Ydnk+hJwH9t6CufgN5X15BavQKkAAAAAlwSFlzAAAD6AAAA+gBtXtSawAAAA9JREFUCJljiD7qqGU0CwAIggJYtMEkIQAAAABJRU5ErkJggg==',
    [91, 197, 65, 42, 50, 154],
  ],
];

/** 8 x 8 pixels of C 200, M 30, Y 90, K 60, as Photoshop writes them: inverted, with Adobe's marker or without. */
const JPEGS = {
  with: '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD+bev7CK/Siv6GK//Z',
  without:
    '/9j/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/wAAUCAAIAAgEQxEATREAWREASxEA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oADgRDAE0AWQBLAAA/AP5t6/sIr9KK/oYr/9k=',
};

const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const file = (what: string) => bytes(FILES.find(([name]) => name === what)?.[1] ?? '');

describe("readImage gives Pillow's numbers", () => {
  it('CMYK is (255 - C)(255 - K) / 255: 5 235 225 0 is 250 20 30', async () => {
    const { width, height, rgb } = await readImage(file('CMYK TIFF'));
    assert.deepEqual([width, height], [2, 1]);
    assert.deepEqual([...rgb.slice(0, 3)], [250, 20, 30]);
  });

  for (const [what, base64, rgb] of FILES)
    it(what, async () => assert.deepEqual([...(await readImage(bytes(base64))).rgb], rgb));

  for (const [marker, base64] of Object.entries(JPEGS))
    it(`CMYK JPEG ${marker} Adobe's marker`, async () => {
      const { width, height, rgb } = await readImage(bytes(base64));
      assert.deepEqual([width, height], [8, 8]);
      for (let i = 0; i < rgb.length; i += 3) assert.deepEqual([...rgb.slice(i, i + 3)], [42, 172, 126]);
    });
});

describe('what Pillow does only when asked', () => {
  it('upright: the first pixel of an image that was turned by a quarter comes on top', async () => {
    const stored = file('EXIF that says "turned": as it is stored');
    assert.deepEqual(await readImage(stored, { upright: true }), {
      width: 1,
      height: 2,
      rgb: Uint8Array.of(1, 2, 3, 4, 5, 6),
    });
  });

  it('white: what is transparent is white, what is half transparent lies between', async () => {
    const { rgb } = await readImage(file('RGB with alpha: stored colors'), { alpha: 'white' });
    // 128/255 of 40 50 60 and 127/255 of 255
    assert.deepEqual([...rgb], [255, 255, 255, 147, 152, 157]);
  });

  it('an SVG is laid on white, asked or not', async () => {
    const svg =
      '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="1"><rect width="1" height="1" fill="#f00"/></svg>';
    assert.deepEqual([...(await readImage(Buffer.from(svg))).rgb], [255, 0, 0, 255, 255, 255]);
  });
});
