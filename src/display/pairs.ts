/** Pairs of an image and an answer that were scored together: a group at a glance, the best first. */
import { Display, type MimeBundle } from './bundle';
import { imageTag, scoreText } from './grid';
import { html, plainText } from './html';
import { type ImageInput, imagesOf } from './images';

/** One member of a group. Texts are data, never markup. */
export interface ScoredPair {
  readonly image?: ImageInput;
  readonly answer?: string;
  /** Each reward by name. */
  readonly rewards?: Readonly<Record<string, number>>;
  /** The rewards together. */
  readonly total: number;
  readonly advantage?: number;
}

export interface PairOptions {
  /** What was to be drawn. */
  readonly prompt?: string;
  /** What was asked. */
  readonly question?: string;
  /** The right answer. */
  readonly solution?: string;
  /** The real image that the question is about. */
  readonly real?: ImageInput;
  /** The longer side, in screen pixels, that small images are enlarged to. Default 96. */
  readonly size?: number;
}

/**
 * A table of pairs, one a row: image, answer, every reward, their sum and the advantage; the highest sum first, pairs
 * without one last.
 * @throws RangeError for an empty list or for images of the wrong shape
 */
export function pairView(pairs: readonly ScoredPair[], options: PairOptions = {}): Display {
  if (pairs.length === 0) throw new RangeError('pairView needs at least one pair, got an empty list');
  const rank = ({ total }: ScoredPair) => (Number.isNaN(total) ? -Infinity : total);
  const sorted = [...pairs].sort((a, b) => rank(b) - rank(a) || 0);
  const names = [...new Set(sorted.flatMap(({ rewards }) => Object.keys(rewards ?? {})))];
  const asked = [
    ['prompt', options.prompt],
    ['question', options.question],
    ['solution', options.solution],
  ].flatMap(([name, text]) => (text === undefined ? [] : [[String(name), text] as const]));
  const numbersOf = ({ rewards, total, advantage }: ScoredPair): string[] => [
    ...names.map((name) => (rewards && name in rewards ? scoreText(rewards[name]) : '')),
    scoreText(total),
    ...(advantage === undefined ? [] : [scoreText(advantage)]),
  ];
  const heads = [...names, 'R', ...(sorted.some(({ advantage }) => advantage !== undefined) ? ['A'] : [])];
  const text = [
    ...asked.map(([name, said]) => `${name}: ${said}`),
    ...sorted.map((pair) => {
      const numbers = numbersOf(pair).map((value, i) => `${heads[i]} ${value || '-'}`);
      return `${numbers.join(' · ')}  ${pair.answer ?? ''}`.trimEnd();
    }),
  ].join('\n');
  return new Display(plainText(text), async (): Promise<MimeBundle> => {
    const { size = 96 } = options;
    const first = options.real && imagesOf(options.real)[0];
    const rows = await Promise.all(
      sorted.map(async (pair) => {
        const image = pair.image && imagesOf(pair.image)[0];
        const cells = numbersOf(pair).map((value) => html`<td style="text-align:right">${value}</td>`);
        return html`<tr>
          <td>${image ? await imageTag(image, size, options.prompt ?? 'image') : ''}</td>
          <td style="text-align:left;white-space:pre-wrap;max-width:260px">${pair.answer ?? ''}</td>
          ${cells}
        </tr>`;
      }),
    );
    const lines = asked.map(([name, said]) => html`<div><b>${name}</b> ${said}</div>`);
    return {
      'text/html': html`<div>
        <div style="display:flex;gap:14px">
          ${first ? await imageTag(first, size, 'the real image') : ''}
          <div>${lines}</div>
        </div>
        <table>
          <tr>
            <th>image</th>
            <th>answer</th>
            ${heads.map((name) => html`<th>${name}</th>`)}
          </tr>
          ${rows}
        </table>
      </div>`.markup,
    };
  });
}
