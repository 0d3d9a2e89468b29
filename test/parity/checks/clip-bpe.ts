/** CLIP's tokenizer: cleaning, token numbers, the frame of 77, and back to text. */
import * as path from 'node:path';
import { ClipTokenizer } from '../../../src/text/clip-bpe';
import { cleanCaption } from '../../../src/text/clip-cleaning';
import { type Check, same } from './check';

interface Case {
  readonly text: string;
  readonly cleaned: string;
  readonly ids: readonly number[];
  readonly context77: readonly number[];
  readonly truncated: boolean;
  /** Null where special tokens occur. */
  readonly decoded: string | null;
}

export async function* parity(
  folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const tokenizer = await ClipTokenizer.fromPretrained(path.join(folder, 'bpe_simple_vocab_16e6.txt.gz'));
  const cases = description.cases as readonly Case[];
  yield same('vocabulary', 'size', [tokenizer.vocabularySize], [description.vocab_size]);
  yield same('vocabulary', 'begin and end', [tokenizer.begin, tokenizer.end], [description.bos, description.eos]);
  for (const [i, { text, cleaned, ids, context77, truncated, decoded }] of cases.entries()) {
    const name = `${i} ${JSON.stringify(text.length > 24 ? `${text.slice(0, 24)}...` : text)}`;
    const context = tokenizer.context(text);
    yield same(name, 'cleaned', [cleanCaption(text)], [cleaned]);
    yield same(name, 'ids', tokenizer.encode(text), ids);
    yield same(name, 'context', [...context.ids, context.truncated], [...context77, truncated]);
    if (decoded !== null) yield same(name, 'decoded', [tokenizer.decode(ids)], [decoded]);
  }
}
