#!/usr/bin/env node
// A CMYK image is read by another formula than Pillow's, which the published pipelines read with: R = (255 - C)(255 - K) / 255.
const { library, check, main } = require('./lib/library.cjs');

/** A TIFF of one strip, 8 bits a channel, CMYK, 2 x 1. */
function tiff(pixels) {
  const tags = [
    [256, 3, 1, 2],
    [257, 3, 1, 1],
    [258, 3, 4, 122],
    [259, 3, 1, 1],
    [262, 3, 1, 5],
    [273, 4, 1, 130],
    [277, 3, 1, 4],
    [278, 3, 1, 1],
    [279, 4, 1, 8],
  ];
  const bytes = Buffer.alloc(138);
  bytes.write('II*\0', 'latin1');
  bytes.writeUInt32LE(8, 4);
  bytes.writeUInt16LE(tags.length, 8);
  tags.forEach(([tag, type, count, value], i) => {
    const at = 10 + 12 * i;
    bytes.writeUInt16LE(tag, at);
    bytes.writeUInt16LE(type, at + 2);
    bytes.writeUInt32LE(count, at + 4);
    bytes.writeUInt32LE(value, at + 8);
  });
  for (let i = 0; i < 4; i++) bytes.writeUInt16LE(8, 122 + 2 * i);
  Buffer.from(pixels).copy(bytes, 130);
  return bytes;
}

main(async () => {
  const { rgb } = await library().readImage(new Uint8Array(tiff([5, 235, 225, 0, 245, 55, 215, 0])));
  check(
    'CMYK 5 235 225 0 and 245 55 215 0 are read as 250 20 30 and 10 200 40',
    `${[...rgb]}` === '250,20,30,10,200,40',
    `${[...rgb]}`,
  );
});
