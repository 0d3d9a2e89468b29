#!/usr/bin/env node
// A published preprocessor_config.json with null fields (image_mean null, do_normalize false): the color that images are
// padded with.
const { inner, check, main } = require('./lib/library.cjs');

main(() => {
  const { ImageProcessor } = inner('io/preprocess/processor.js');
  const common = { do_normalize: false, image_mean: null, image_std: null, image_size: 384, min_size: 14 };
  for (const image_processor_type of ['VLMImageProcessor', 'JanusImageProcessor']) {
    const config = { background_color: [127, 127, 127], ...common, image_processor_type };
    const { background } = ImageProcessor.fromUpstream(config, 'preprocessor_config.json').config;
    check(
      `${image_processor_type}: with image_mean null the background is 127 127 127`,
      `${background}` === '127,127,127',
      `${background}`,
    );
  }
});
