/**
 * `spice_like`: how far two captions say the same things. Like SPICE (Anderson et al. 2016) it compares sets of tuples
 * (thing), (thing, attribute), (thing, relation, thing) by F1. SPICE reads them from a dependency parse and matches
 * synonyms of WordNet; here a chunker by word lists reads them and words match by their singular, hence another name.
 */

/** What a caption says: `car`, `car|red`, `car|left of|house`. */
export type CaptionTuples = ReadonlySet<string>;

const list = (words: string) => words.trim().split(/\s+/);

/** Longest first: "in front of" is not "in". */
const RELATIONS = [
  ...['in front of', 'on top of', 'on the side of', 'in the middle of', 'left of', 'right of', 'to the left of'],
  ...['to the right of', 'next to', 'close to', 'out of', 'because of'],
  ...list(`in on at of above below under over beside near by behind between among against around with without inside
    outside along across through into onto from to for like has have wears wear holds hold holding wearing having`),
]
  .map((relation) => relation.split(' '))
  .sort((a, b) => b.length - a.length);

/** "to the left of" and "left of" are one relation. */
const SAME: Readonly<Record<string, string>> = {
  'to the left of': 'left of',
  'to the right of': 'right of',
  'next to': 'beside',
  under: 'below',
  wears: 'wearing',
  wear: 'wearing',
  has: 'with',
  have: 'with',
  having: 'with',
  holds: 'holding',
  hold: 'holding',
};

const ARTICLES = new Set(list('a an the this that these those his her its their my your our some any'));
/** Say nothing of their own; "is" joins a thing and what follows. */
const SILENT = new Set(list('is are was were be been being there it he she they very really both all'));
/** End a phrase: what follows is another thing. */
const BREAKS = new Set(list('and or but while as which who where when then so because'));
const OPENING = /^(?:an?|the)\s+(?:photo|picture|image|drawing|painting|photograph)\s+of\s+/;

/** A phrase: a head with what stands before it. */
interface Phrase {
  readonly head: string;
  readonly attributes: readonly string[];
}

/** The tuples of a caption. Nothing for a caption without a thing. */
export function captionTuples(caption: string): CaptionTuples {
  const tuples = new Set<string>();
  let last: Phrase | undefined;
  let relation: string | undefined;
  let open: string[] = [];
  const close = () => {
    if (open.length === 0) return;
    const words = open;
    open = [];
    const head = singular(words[words.length - 1]);
    tuples.add(head);
    for (const attribute of words.slice(0, -1)) tuples.add(`${head}|${attribute}`);
    if (last && relation !== undefined) tuples.add(`${last.head}|${relation}|${head}`);
    last = { head, attributes: words.slice(0, -1) };
    relation = undefined;
  };
  for (const token of tokensOf(caption)) {
    if (token.relation !== undefined) {
      close();
      relation = token.relation;
    } else if (token.word === undefined) {
      close();
      if (token.stop) relation = undefined;
    } else open.push(token.word);
  }
  close();
  return tuples;
}

interface Token {
  readonly word?: string;
  readonly relation?: string;
  /** What stood before and what comes are not related. */
  readonly stop?: boolean;
}

function tokensOf(caption: string): Token[] {
  const plain = caption.toLowerCase().trim().replace(OPENING, '');
  const words = plain.match(/[\p{L}\p{N}'<>-]+|[.,;:!?]/gu) ?? [];
  const tokens: Token[] = [];
  for (let i = 0; i < words.length;) {
    const relation = RELATIONS.find((parts) => parts.every((part, k) => words[i + k] === part));
    if (relation) {
      const said = relation.join(' ');
      tokens.push({ relation: SAME[said] ?? said });
      i += relation.length;
    } else tokens.push(tokenOf(words[i++]));
  }
  return tokens;
}

function tokenOf(word: string): Token {
  if (/^[.,;:!?]$/.test(word) || BREAKS.has(word)) return { stop: true };
  if (ARTICLES.has(word) || SILENT.has(word)) return {};
  // "a man riding a horse": what somebody does to something.
  if (word.length > 5 && word.endsWith('ing')) return { relation: word };
  return { word };
}

/** cars -> car, buses -> bus, houses -> house, cities -> city; "glass" and "bus" stay. */
export function singular(word: string): string {
  if (word.length < 4 || !word.endsWith('s') || /(?:ss|us|is)$/.test(word)) return word;
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  return /(?:ss|x|zz|ch|sh|[^o]us)es$/.test(word) ? word.slice(0, -2) : word.slice(0, -1);
}

/** F1 of two captions' tuples, in [0, 1]; 0 when one of them says nothing. @example spiceLike('a red car', 'a car') // 2/3 */
export function spiceLike(caption: string, reference: string): number {
  const [own, other] = [captionTuples(caption), captionTuples(reference)];
  const both = [...own].filter((tuple) => other.has(tuple)).length;
  return own.size + other.size === 0 ? 0 : (2 * both) / (own.size + other.size);
}
