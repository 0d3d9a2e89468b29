/** Lower case as the reference tokenizers make it: letter by letter, so that a final Σ is σ as well, not ς. */

interface Normalizer {
  readonly type?: string;
  readonly normalizers?: readonly Normalizer[];
  readonly lowercase?: boolean;
}

/** JavaScript knows where a word ends and gives its last Σ the final form; a σ that stands there already it leaves alone. */
const plainSigma = { type: 'Replace', pattern: { String: 'Σ' }, content: 'σ' };

/** A `tokenizer.json` whose lower-casing, wherever it stands among the normalizers, goes letter by letter. */
export function lowerCasingByLetters<T extends object>(json: T & { readonly normalizer?: unknown }): T {
  const { normalizer } = json;
  if (typeof normalizer !== 'object' || normalizer === null) return json;
  return { ...json, normalizer: byLetters(normalizer) };
}

function byLetters(normalizer: Normalizer): object {
  if (normalizer.normalizers) return { ...normalizer, normalizers: normalizer.normalizers.map(byLetters) };
  const lowers = normalizer.type === 'Lowercase' || (normalizer.type === 'BertNormalizer' && normalizer.lowercase);
  return lowers ? { type: 'Sequence', normalizers: [plainSigma, normalizer] } : normalizer;
}
