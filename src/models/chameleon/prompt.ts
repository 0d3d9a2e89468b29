/** From a rendered conversation to the ids that Chameleon reads. */
import type { EncodedPart } from '../../text/chat/message';
import { type ImagePart, sequenceIds } from './layout';
import type { ChameleonConfig } from './config';
import type { ChameleonVocabulary } from './vocabulary';

/**
 * `bos parts..`, ready to be continued.
 * @param parts of `encodePrompt`
 * @param images codes of the images, by the numbers that the parts name
 * @throws RangeError for an image that is not given, one that nothing names, or a token that the vocabulary lacks
 */
export function promptIds(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  parts: readonly EncodedPart[],
  images: readonly Omit<ImagePart, 'kind'>[] = [],
): number[] {
  const named = parts.filter((part) => part.kind === 'image').length;
  if (named !== images.length)
    throw new RangeError(`the conversation has ${named} images, the codes of ${images.length} were given`);
  const ids = parts.flatMap((part) => {
    if (part.kind === 'text') return part.ids;
    if (part.kind === 'image') return sequenceIds(config, v, [{ ...images[part.index], kind: 'image' }]);
    if (v.separator === undefined) throw new RangeError('the vocabulary has no separator token to end a message with');
    return [v.separator];
  });
  return [v.bos, ...ids];
}
