/** A model that answers with what it is asked and draws flat squares: for those who test how models are asked. */
import { type Rng, tf } from '../../src/engine';
import { UnknownWordsError } from '../../src/text';
import type { Image } from '../../src/io';
import { type ImageSegment, PromptTooLongError, type SampleRequest, type UnifiedModel } from '../../src/models/unified';

interface FakePrompt {
  readonly task: 'understand' | 'generate' | 'interleave';
  readonly text: string;
}

/** Counts what it was asked. The gray of a square depends on the request's random numbers alone. */
export function fakeModel(asked: { texts: number; images: number } = { texts: 0, images: 0 }): UnifiedModel {
  const model = {
    modelType: 'fake',
    prompt: (parts: readonly (string | Image)[], task: FakePrompt['task']): FakePrompt => {
      const text = parts.filter((part) => typeof part === 'string').join(' ');
      if (text.includes('zyzzyva')) throw new UnknownWordsError(['zyzzyva'], text, 9);
      if (/too long|heard a too-long/.test(text)) throw new PromptTooLongError(`no room for '${text}'`);
      return { task, text };
    },
    sampleText: (requests: readonly SampleRequest<FakePrompt>[]) => {
      asked.texts += requests.length;
      return requests.map(({ prompt }) => ({
        name: 'understanding',
        text: `heard ${prompt.text}`,
        finished: true,
        transitions: [],
      }));
    },
    imageSampler: (requests: readonly SampleRequest<FakePrompt>[]) => ({
      finish: (): ImageSegment[] => {
        asked.images += requests.length;
        return requests.map(({ rng }: { rng: Rng }) => ({
          name: 'generation',
          codes: Int32Array.of(rng.int(200)),
          grid: [1, 1],
          transitions: [],
        }));
      },
    }),
    imageTokenizer: {
      grid: [1, 1],
      stride: 4,
      encode: () => [],
      decode: (codes: readonly ArrayLike<number>[]) =>
        tf.stack(codes.map(({ 0: code }) => tf.fill([4, 4, 3], code / 127.5 - 1))) as tf.Tensor4D,
    },
    dispose: () => undefined,
  };
  return model as unknown as UnifiedModel;
}
