/** From a rendered conversation to the ids that Chameleon reads. */
import type { EncodedPart } from '../../text/chat/message';
import { type PicturePart, sequenceIds } from './layout';
import type { ChameleonConfig } from './config';
import type { ChameleonVocabulary } from './vocabulary';

/**
 * `bos parts..`, ready to be continued.
 * @param parts of `encodePrompt`
 * @param pictures codes of the pictures, by the numbers that the parts name
 * @throws RangeError for a picture that is not given, one that nothing names, or a token that the vocabulary lacks
 */
export function promptIds(
  config: ChameleonConfig,
  v: ChameleonVocabulary,
  parts: readonly EncodedPart[],
  pictures: readonly Omit<PicturePart, 'kind'>[] = [],
): number[] {
  const named = parts.filter((part) => part.kind === 'picture').length;
  if (named !== pictures.length)
    throw new RangeError(`the conversation has ${named} pictures, the codes of ${pictures.length} were given`);
  const ids = parts.flatMap((part) => {
    if (part.kind === 'text') return part.ids;
    if (part.kind === 'picture') return sequenceIds(config, v, [{ ...pictures[part.index], kind: 'picture' }]);
    if (v.separator === undefined) throw new RangeError('the vocabulary has no separator token to end a message with');
    return [v.separator];
  });
  return [v.bos, ...ids];
}
