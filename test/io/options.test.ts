import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as z from 'zod';
import { group, help, option, OptionsError, resolveOptions } from '../../src/io/options';
import { syncGrpoOptions } from '../../src/recipes';

const schema = z.strictObject({
  steps: option(z.int().min(1), 40, 'Steps.', { paper: 'Sec. 4' }),
  learningRate: option(z.number().positive(), 1e-4, 'Of AdamW.'),
  image: group({ steps: option(z.int(), 18, 'Of decoding.'), guidanceScale: option(z.number(), 3, 'w.') }, 'Images.'),
});

const refused = (sets: readonly string[], message: RegExp) =>
  assert.throws(
    () => resolveOptions(schema, sets),
    (error) => error instanceof OptionsError && message.test(error.message),
  );

describe('options', () => {
  it('a preset goes over defaults, a file over the preset, --set over all', () => {
    const preset = { steps: 10, image: { steps: 4 } };
    const file = { image: { guidanceScale: 1.5 } };
    assert.deepEqual(resolveOptions(schema, preset, file, ['image.steps=6', 'learningRate=2e-3']), {
      steps: 10,
      learningRate: 2e-3,
      image: { steps: 6, guidanceScale: 1.5 },
    });
  });

  it('a name that there is not brings those that there are, nearest first', () => {
    refused(['learningrate=1'], /there is no option 'learningrate'; there are: learningRate, /);
    refused(['lerningRate=1'], /no option 'lerningRate'; there are: learningRate, /);
    refused(['image.step=3'], /no option 'image\.step'; there are: steps, guidanceScale/);
    refused(['image.stpes=3', 'imgae.steps=2'], /'imgae'; there are: image, [^]*'image\.stpes'; there are: steps/);
  });

  it('a name of another group is said with its group', () => {
    refused(['guidanceScale=2'], /no option 'guidanceScale'; image\.guidanceScale is one; there are: /);
    refused(['image.learningRate=2'], /no option 'image\.learningRate'; learningRate is one; there are: /);
  });

  it('a value out of range names the option', () => refused(['steps=0', 'image.steps=x'], /steps[^]*image\.steps/));

  it('a recipe with hundreds of names says the nearest ones too', () =>
    assert.throws(() => resolveOptions(syncGrpoOptions, ['groupsize=4']), /'groupsize'; there are: groupSize, /));

  it('help has a line an option', () => {
    const lines = help(schema).split('\n');
    assert.equal(lines.length, 4);
    assert.match(lines[0], /^steps +integer >= 1 +40 +Steps\. \(Sec\. 4\)$/);
  });
});
