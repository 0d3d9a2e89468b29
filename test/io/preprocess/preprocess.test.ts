import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { startEngine, Rng, tf } from '../../../src/engine';
import { ImageProcessor, PILLOW_FILTERS, type Image, resampleImage } from '../../../src/io';
import { centreCrop, padToSquare, targetSize } from '../../../src/io/preprocess/geometry';

function flat(width: number, height: number, color: readonly [number, number, number]): Image {
  return { width, height, rgb: Uint8Array.from({ length: width * height * 3 }, (_, i) => color[i % 3]) };
}

function noise(width: number, height: number, seed = 1): Image {
  const values = new Rng(seed).uniform(width * height * 3);
  return { width, height, rgb: Uint8Array.from(values, (v) => Math.floor(v * 256)) };
}

const side = fc.integer({ min: 1, max: 40 });
const byte = fc.integer({ min: 0, max: 255 });

describe('resizing', () => {
  it('keeps one colour one colour, in every filter and size', () => {
    fc.assert(
      fc.property(
        side,
        side,
        side,
        side,
        fc.tuple(byte, byte, byte),
        fc.constantFrom(...PILLOW_FILTERS),
        (w, h, toW, toH, color, filter) => {
          const out = resampleImage(flat(w, h, color), toW, toH, filter);
          assert.deepEqual(out, flat(toW, toH, color));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('copies a picture of the wanted size, and mirrors with it', () => {
    const image = noise(13, 9);
    const copy = resampleImage(image, 13, 9);
    assert.deepEqual(copy, image);
    copy.rgb[0] ^= 255;
    assert.notEqual(copy.rgb[0], image.rgb[0]);
    const mirrored = ({ width, height, rgb }: Image): Image => ({
      width,
      height,
      rgb: Uint8Array.from(rgb, (_, i) => {
        const [y, x, c] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
        return rgb[(y * width + width - 1 - x) * 3 + c];
      }),
    });
    for (const filter of ['bilinear', 'bicubic', 'lanczos'] as const) {
      const a = mirrored(resampleImage(image, 7, 20, filter));
      const b = resampleImage(mirrored(image), 7, 20, filter);
      // Fixed-point rounding of halves is the only thing that is not symmetric.
      assert.ok(a.rgb.every((v, i) => Math.abs(v - b.rgb[i]) <= 1));
    }
  });

  it('averages when shrinking by whole numbers with a box', () => {
    const image: Image = { width: 4, height: 2, rgb: new Uint8Array(24) };
    for (let i = 0; i < 8; i++) image.rgb.fill([10, 30, 100, 200, 20, 40, 0, 100][i], i * 3, i * 3 + 3);
    assert.deepEqual(Array.from(resampleImage(image, 2, 1, 'box').rgb), [25, 25, 25, 100, 100, 100]);
  });

  it('refuses sizes and images that are none', () => {
    assert.throws(() => resampleImage(noise(3, 3), 0, 4), /cannot be 0 x 4/);
    assert.throws(() => resampleImage(noise(3, 3), 2.5, 4), /cannot be 2.5 x 4/);
    assert.throws(() => resampleImage({ width: 3, height: 3, rgb: new Uint8Array(9) }, 2, 2), /27 bytes .* got 9/);
  });
});

describe('sizes, crops and borders', () => {
  it('cuts the longer side, rounds for Janus', () => {
    assert.deepEqual(targetSize(53, 37, { shortest_edge: 36 }), [51, 36]);
    assert.deepEqual(targetSize(30, 90, { shortest_edge: 20, longest_edge: 40 }), [13, 40]);
    assert.deepEqual(targetSize(9, 4, { height: 7, width: 6 }), [6, 7]);
    // 45 * 32 / 75 = 19.2; 35 * 20 / 56 = 12.5, a half, goes to the even 12
    assert.deepEqual(targetSize(45, 75, { square: 32, min_size: 1 }), [19, 32]);
    assert.deepEqual(targetSize(35, 56, { square: 20, min_size: 1 }), [12, 20]);
    assert.deepEqual(targetSize(55, 56, { square: 28, min_size: 1, cut: true }), [27, 28]);
    assert.deepEqual(targetSize(3, 150, { square: 30, min_size: 20 }), [20, 30]);
  });

  it('crops the middle, black outside; pads around', () => {
    const row: Image = { width: 5, height: 1, rgb: Uint8Array.from({ length: 15 }, (_, i) => Math.floor(i / 3) + 1) };
    const red = (image: Image): number[] => Array.from(image.rgb.filter((_, i) => i % 3 === 0));
    assert.deepEqual(red(centreCrop(row, 2, 1)), [2, 3]);
    assert.deepEqual(red(centreCrop(row, 3, 2)), [0, 0, 0, 2, 3, 4]);
    assert.deepEqual(red(centreCrop(row, 8, 1)), [0, 0, 1, 2, 3, 4, 5, 0]);
    const square = padToSquare(row, [9, 8, 7]);
    assert.deepEqual([square.width, square.height], [5, 5]);
    assert.deepEqual(red(square).slice(5, 20), [9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 9, 9, 9, 9, 9]);
  });
});

describe('image processors', () => {
  before(async () => {
    await startEngine({ precision: 'float32', quiet: true });
  });

  it('read what older versions wrote', () => {
    const old = ImageProcessor.fromUpstream(
      { feature_extractor_type: 'CLIPFeatureExtractor', size: 40, crop_size: 32, resample: 3, do_resize: true },
      'preprocessor_config.json',
    );
    assert.deepEqual(old.config.size, { shortest_edge: 40 });
    assert.deepEqual(old.config.crop, { height: 32, width: 32 });
    assert.equal(old.config.rescale, 1 / 255);
    const vit = ImageProcessor.fromUpstream({ image_processor_type: 'ViTImageProcessorFast', size: 16 }, 'file');
    assert.deepEqual(vit.config.size, { height: 16, width: 16 });
    assert.equal(vit.config.crop, undefined);
    const janus = { image_processor_type: 'VLMImageProcessor', image_size: 24, image_mean: [0.5, 0.5, 0.5] };
    const { config } = ImageProcessor.fromUpstream(janus, 'file');
    assert.deepEqual(config.size, { square: 24, min_size: 14, cut: true });
    assert.deepEqual(config.background, [127, 127, 127]);
  });

  it('take null for a field that is not there, and pad with gray where upstream has no mean', () => {
    const background = (fields: object) => ImageProcessor.fromUpstream(fields, 'file').config.background;
    const clip = [122, 116, 104];
    for (const [image_processor_type, missing] of [
      ['VLMImageProcessor', clip],
      ['JanusImageProcessor', [127, 127, 127]],
    ] as const) {
      assert.deepEqual(background({ image_processor_type, image_mean: null, image_std: null }), [127, 127, 127]);
      assert.deepEqual(background({ image_processor_type }), missing);
      assert.deepEqual(background({ image_processor_type, image_mean: [0.48145466, 0.4578275, 0.40821073] }), clip);
    }
    for (const kind of ['CLIP', 'Bit', 'Blip', 'ViT', 'Siglip', 'Janus', 'VLM', 'Chameleon']) {
      const plain = { image_processor_type: `${kind}ImageProcessor` };
      const fields = [
        'size',
        'crop_size',
        'resample',
        'rescale_factor',
        'image_std',
        'min_size',
        'do_resize',
        'do_pad',
      ];
      const nulls = Object.fromEntries(fields.map((field) => [field, null]));
      const [there, absent] = [{ ...plain, ...nulls }, plain].map((json) => ImageProcessor.fromUpstream(json, 'file'));
      assert.deepEqual(there.config, absent.config, kind);
    }
  });

  it('normalise, keep steps that are switched off out, and leak nothing', () => {
    const start = tf.memory().numTensors;
    const processor = ImageProcessor.fromUpstream({ size: { height: 4, width: 6 } }, 'file', 'ViTImageProcessor');
    const pixels = processor.process([flat(9, 9, [255, 0, 51]), noise(3, 8)]);
    assert.deepEqual(pixels.shape, [2, 4, 6, 3]);
    const [red, green, blue] = pixels.dataSync();
    assert.ok(Math.abs(red - 1) + Math.abs(green + 1) + Math.abs(blue + 0.6) < 1e-6);
    const raw = { do_resize: false, do_rescale: false, do_normalize: false };
    const bytes = ImageProcessor.fromUpstream(raw, 'file', 'ViT').process([flat(2, 3, [1, 2, 3])]);
    assert.deepEqual(Array.from(bytes.dataSync().slice(0, 3)), [1, 2, 3]);
    tf.dispose([pixels, bytes]);
    assert.equal(tf.memory().numTensors, start);
  });

  it('say everything that is wrong at once', async () => {
    const broken = {
      image_processor_type: 'CLIPImageProcessor',
      size: { shortest: 3 },
      resample: 9,
      image_std: [0, 1, 1],
      do_rescale: 'yes',
    };
    assert.throws(
      () => ImageProcessor.fromUpstream(broken, 'here.json'),
      (error: Error) => {
        for (const part of ['here.json', 'size is {"shortest":3}', 'resample is 9', 'image_std', 'do_rescale is "yes"'])
          assert.ok(error.message.includes(part), `${part} in ${error.message}`);
        return true;
      },
    );
    assert.throws(
      () => ImageProcessor.fromUpstream({}, 'x.json'),
      /image_processor_type is undefined, expected one of/,
    );
    const processor = ImageProcessor.fromUpstream({ size: { shortest_edge: 8 }, do_center_crop: false }, 'x', 'CLIP');
    assert.throws(() => processor.process([]), /no images/);
    assert.throws(() => processor.process([noise(8, 8), noise(8, 16)]), /image 1 comes out 8 x 16, the first 8 x 8/);
    const folder = await mkdtemp(path.join(os.tmpdir(), 'unilab-processor-'));
    await assert.rejects(ImageProcessor.fromPretrained(folder), /preprocessor_config.json cannot be read/);
    assert.equal((await ImageProcessor.fromPretrained(folder, 'BitImageProcessor')).config.filter, 'bicubic');
    await writeFile(path.join(folder, 'preprocessor_config.json'), '{');
    await assert.rejects(ImageProcessor.fromPretrained(folder, 'BitImageProcessor'), /is not JSON/);
    await rm(folder, { recursive: true });
  });
});
