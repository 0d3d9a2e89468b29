import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DetectedObject } from '../../src/data/judges';
import { genEvalBenchmark } from '../../src/data/geneval';
import { answerRubric, alignmentRubric, wiseRubric, yesNoRubric } from '../../src/data/rubrics';
import { type FoundObject, genEvalVerdict, relativePosition } from '../../src/data/rules';
import { collectItems } from '../../src/data/items';
import { moduleName, resized } from '../../src/models/scorers/detr';
import { put, scratch } from './broken-sets';

const found = (label: string, box: FoundObject['box'], color?: string): FoundObject => ({
  label,
  score: 0.9,
  box,
  color,
});

describe("GenEval's verdict", () => {
  it('places by centers, beyond a tenth of both sizes', () => {
    assert.deepEqual([...relativePosition([0, 0, 10, 10], [20, 0, 30, 10])], ['left of']);
    assert.deepEqual([...relativePosition([20, 20, 30, 30], [0, 0, 10, 10])], ['right of', 'below']);
    assert.deepEqual([...relativePosition([0, 0, 10, 10], [1, 1, 11, 11])], []);
  });

  it('counts, colors and places', () => {
    const cat = { class: 'cat', count: 1 };
    const dog = { class: 'dog', count: 1, position: ['left of', 0] as const };
    const scene = [found('cat', [50, 0, 60, 10], 'red'), found('dog', [0, 0, 10, 10])];
    assert.equal(genEvalVerdict([cat, dog], [], scene), true);
    assert.equal(genEvalVerdict([cat, { ...dog, position: ['above', 0] }], [], scene), false);
    assert.equal(genEvalVerdict([{ ...cat, color: 'red' }], [], scene), true);
    assert.equal(genEvalVerdict([{ ...cat, color: 'blue' }], [], scene), false);
    assert.equal(genEvalVerdict([{ ...cat, count: 2 }], [], scene), false);
    assert.equal(genEvalVerdict([cat], [{ class: 'cat', count: 2 }], [...scene, found('cat', [0, 0, 1, 1])]), false);
  });

  it('a detector and its records give the table', async () => {
    const folder = scratch();
    const lines = [
      { tag: 'single_object', include: [{ class: 'cat', count: 1 }], prompt: 'a photo of a cat' },
      {
        tag: 'counting',
        include: [{ class: 'cat', count: 2 }],
        exclude: [{ class: 'cat', count: 3 }],
        prompt: 'a photo of two cats',
      },
    ];
    put(folder, 'evaluation_metadata.jsonl', lines.map((line) => JSON.stringify(line)).join('\n'));
    const seen: DetectedObject[] = [
      { label: 'cat', score: 0.95, box: [0, 0, 1, 1] },
      { label: 'cat', score: 0.5, box: [2, 2, 3, 3] },
    ];
    const benchmark = genEvalBenchmark(folder, {
      detector: { name: 'two-cats', knows: () => true, detect: (images) => Promise.resolve(images.map(() => seen)) },
      colors: { name: 'none', color: () => Promise.resolve('red') },
    });
    const { items } = await collectItems(benchmark.items());
    const image = { width: 1, height: 1, rgb: new Uint8Array(3) };
    const scored = await Promise.all(
      items.map(async (item) => ({
        id: item.id,
        cluster: item.id,
        ...(await benchmark.score(item, { texts: [], images: [image, image] })),
      })),
    );
    const value = (name: string) => benchmark.columns.find((column) => column.name === name)?.value(scored);
    assert.equal(value('single_object'), 1);
    assert.equal(value('counting'), 0, 'counted are only those of 0.9 and more: one');
    assert.ok(Number.isNaN(value('overall')), 'a mean of two tags is not the mean of six');
    assert.ok(Number.isNaN(value('colors')));
  });
});

describe('what judges say', () => {
  it('is read, or refused', () => {
    assert.equal(yesNoRubric.read(' **Yes**, it does'), 'yes');
    assert.throws(() => yesNoRubric.read('maybe'), /neither yes nor no/);
    assert.equal(answerRubric.read('10'), 1);
    assert.equal(answerRubric.read('7.'), 0.7);
    assert.throws(() => answerRubric.read('11'), /0 to 10/);
    assert.equal(alignmentRubric.read('85'), 0.85);
    assert.throws(() => alignmentRubric.read('850'), /0 to 100/);
    const marks = { consistency: 2, realism: 1, aestheticQuality: 0 };
    assert.deepEqual(wiseRubric.read('Consistency: 2\nRealism: 1\nAesthetic Quality: 0'), marks);
    assert.throws(() => wiseRubric.read('Consistency: 3\nRealism: 1\nAesthetic Quality: 0'), /three marks/);
  });
});

describe('DETR', () => {
  it("finds its tensors under the published checkpoints' names", () => {
    const names = {
      'model.backbone.conv_encoder.model.conv1.weight': 'backbone.embedder.embedder.convolution.weight',
      'model.backbone.conv_encoder.model.bn1.running_mean': 'backbone.embedder.embedder.normalization.running_mean',
      'model.backbone.conv_encoder.model.layer2.0.conv3.weight':
        'backbone.encoder.stages.1.layers.0.layer.2.convolution.weight',
      'model.backbone.conv_encoder.model.layer4.1.bn2.bias':
        'backbone.encoder.stages.3.layers.1.layer.1.normalization.bias',
      'model.backbone.conv_encoder.model.layer1.0.downsample.0.weight':
        'backbone.encoder.stages.0.layers.0.shortcut.convolution.weight',
      'model.backbone.conv_encoder.model.layer1.0.downsample.1.weight':
        'backbone.encoder.stages.0.layers.0.shortcut.normalization.weight',
      'model.decoder.layers.3.encoder_attn.out_proj.bias': 'decoder.layers.3.encoder_attn.o_proj.bias',
      'model.encoder.layers.5.fc1.weight': 'encoder.layers.5.mlp.fc1.weight',
      'bbox_predictor.layers.0.weight': 'bbox_predictor.layers.0.weight',
    };
    for (const [stored, name] of Object.entries(names)) assert.equal(moduleName(stored), name);
  });

  it('brings images to its size: the shorter side, unless the longer one would be too long', () => {
    const size = { shortest: 800, longest: 1333 };
    assert.deepEqual(resized(640, 480, size), [1066, 800]);
    assert.deepEqual(resized(480, 640, size), [800, 1066]);
    assert.deepEqual(resized(2000, 500, size), [1333, 333]);
    assert.deepEqual(resized(800, 800, size), [800, 800]);
  });
});
