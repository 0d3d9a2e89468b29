/** Chameleon as a policy: what a sequence decided, run by run (text, image, text, ..), and exact replay of each. */
import { type Rng, tf, tokenLogProbs } from '../../engine';
import type { Parameters } from '../../nn/parameters';
import { scoringTemperature } from '../../nn/token-sampling';
import type { ChameleonModel } from './model';
import {
  bannedIn,
  type ImageLogProbs,
  type SampledSequence,
  sampleSequences,
  type SequenceOptions,
  resolveOptions,
} from './sampler';
import { chameleonLogits, imageLogits, textMask } from './transformer';

/** Decisions of one forward row; the shape that reinforcement learning replays. */
interface Decisions {
  /** Everything before the first of `ids`. */
  readonly prefix: readonly number[];
  readonly ids: Int32Array;
  readonly logProbs: Float32Array;
  readonly mask: Uint8Array;
  /** Temperature that the log-probs are taken at. */
  readonly temperature: number;
}

/** Text up to the token that ends it: a stop token, or an image's begin token. */
export interface TextPiece extends Decisions {
  readonly segment: 'understanding';
  /** Ids that could not be said. */
  readonly banned: readonly number[];
}

/** An image from the token after its begin token to its end token; forced tokens are not decisions. */
export interface ImagePiece extends Decisions {
  readonly segment: 'generation';
  /** Place of the begin token in `prefix`: where the unconditional context starts. */
  readonly begin: number;
  readonly guidanceScale: number;
  readonly imageLogProbs: ImageLogProbs;
}

export type ChameleonPiece = TextPiece | ImagePiece;

/**
 * The runs of a sampled sequence, in order.
 * @param options those that it was sampled with
 */
export function sequencePieces(
  model: ChameleonModel,
  { prompt, ids, logProbs, drawn, inImage }: SampledSequence,
  options: SequenceOptions = {},
): ChameleonPiece[] {
  const settled = resolveOptions(model, options);
  const { boi } = model.vocabulary;
  const all = [...prompt, ...ids];
  const pieces: ChameleonPiece[] = [];
  let images = inImage[0] === 1 ? 1 : 0;
  for (let from = 0; from < ids.length;) {
    const image = inImage[from] === 1;
    let to = from + 1;
    while (to < ids.length && (inImage[to] === 1) === image && ids[to - 1] !== boi) to++;
    const decisions: Decisions = {
      prefix: all.slice(0, prompt.length + from),
      ids: ids.slice(from, to),
      logProbs: logProbs.slice(from, to),
      mask: drawn.slice(from, to),
      temperature: scoringTemperature(image ? settled.image : settled.text),
    };
    if (image) {
      const { guidanceScale, imageLogProbs } = settled;
      const begin = decisions.prefix.lastIndexOf(boi);
      pieces.push({ ...decisions, segment: 'generation', begin, guidanceScale, imageLogProbs });
    } else {
      pieces.push({ ...decisions, segment: 'understanding', banned: bannedIn(settled, boi, images) });
    }
    if (ids[to - 1] === boi) images++;
    from = to;
  }
  return pieces;
}

/**
 * log p of every id of the pieces, `[pieces, longest piece]`, 0 where it was no decision and on padding;
 * differentiable in the parameters.
 * @param parameters default: the model's
 * @throws RangeError for no pieces, pieces of different segments, or images sampled with different guidance
 */
export function replayPieces(
  model: ChameleonModel,
  pieces: readonly ChameleonPiece[],
  parameters: Parameters = model.parameters,
): tf.Tensor2D {
  if (pieces.length === 0) throw new RangeError('replay needs one piece at least');
  const { segment } = pieces[0];
  if (pieces.some((piece) => piece.segment !== segment))
    throw new RangeError('replay takes pieces of one segment at a time');
  return tf.tidy(() => {
    const longest = Math.max(...pieces.map((piece) => piece.ids.length));
    const logits =
      segment === 'understanding'
        ? textLogits(model, pieces as readonly TextPiece[], longest, parameters)
        : imageCodeLogits(model, pieces as readonly ImagePiece[], longest, parameters);
    const temperatures = column(pieces, longest, (piece) => piece.temperature);
    const targets = pieces.flatMap((piece) =>
      Array.from({ length: longest }, (_, i) => (piece.mask[i] ? targetOf(model, segment, piece.ids[i]) : 0)),
    );
    const logProbs = tokenLogProbs(tf.div(logits, temperatures), tf.tensor1d(targets, 'int32'));
    const real = tf.tensor2d(pieces.flatMap((piece) => Array.from({ length: longest }, (_, i) => piece.mask[i] ?? 0)), [pieces.length, longest]); // prettier-ignore
    return tf.mul<tf.Tensor2D>(tf.reshape(logProbs, [pieces.length, longest]), real);
  });
}

/** Place of an id among the logits of its segment. */
function targetOf({ vocabulary: v }: ChameleonModel, segment: ChameleonPiece['segment'], id: number): number {
  if (segment === 'understanding') return id;
  const first = v.imageIds[0];
  return v.imageIds[id - first] === id ? id - first : v.imageIds.indexOf(id);
}

/** One number a piece as `[pieces * longest, 1]`. */
function column(
  pieces: readonly ChameleonPiece[],
  longest: number,
  value: (piece: ChameleonPiece) => number,
): tf.Tensor2D {
  return tf.tensor2d(pieces.flatMap((piece) => new Array<number>(longest).fill(value(piece))), [pieces.length * longest, 1]); // prettier-ignore
}

/** Hidden states that predict the pieces' ids, `[pieces * longest, hidden]`. @param from first token of each row that is shown */
function predicting(
  model: ChameleonModel,
  pieces: readonly ChameleonPiece[],
  longest: number,
  parameters: Parameters,
  from: (piece: ChameleonPiece) => number,
): tf.Tensor2D {
  // The last id predicts nothing that is asked for.
  const rows = pieces.map((piece) => [...piece.prefix.slice(from(piece)), ...piece.ids.slice(0, -1)]);
  const length = Math.max(...rows.map((row) => row.length));
  const padded = rows.map((row) => [...row, ...new Array<number>(length - row.length).fill(model.vocabulary.pad)]);
  // Padding stands on the right, where causal attention does not look; its own places ask for place 0.
  const at = pieces.flatMap((piece, b) => {
    const first = b * length + piece.prefix.length - from(piece) - 1;
    return Array.from({ length: longest }, (_, i) => (i < piece.ids.length ? first + i : b * length));
  });
  const hidden = model.hidden(padded, {}, parameters);
  return tf.gather(tf.reshape<tf.Rank.R2>(hidden, [-1, model.config.text.hidden_size]), tf.tensor1d(at, 'int32'));
}

function textLogits(
  model: ChameleonModel,
  pieces: readonly TextPiece[],
  longest: number,
  parameters: Parameters,
): tf.Tensor2D {
  const logits = chameleonLogits(
    parameters,
    predicting(model, pieces, longest, parameters, () => 0),
  );
  const kinds = [...new Set(pieces.map((piece) => piece.banned.join()))];
  const masks = kinds.map((kind) => textMask(model.vocabulary, pieces.find((p) => p.banned.join() === kind)?.banned));
  if (masks.length === 1) return tf.add(logits, masks[0]);
  const which = pieces.flatMap((piece) => new Array<number>(longest).fill(kinds.indexOf(piece.banned.join())));
  return tf.add(logits, tf.gather(tf.stack(masks), tf.tensor1d(which, 'int32')));
}

function imageCodeLogits(
  model: ChameleonModel,
  pieces: readonly ImagePiece[],
  longest: number,
  parameters: Parameters,
): tf.Tensor2D {
  const { guidanceScale: s, imageLogProbs } = pieces[0];
  if (pieces.some((piece) => piece.guidanceScale !== s || piece.imageLogProbs !== imageLogProbs))
    throw new RangeError('replay takes images of one guidance scale and one kind of log-probs at a time');
  const conditional = imageLogits(parameters, model.vocabulary, predicting(model, pieces, longest, parameters, () => 0)); // prettier-ignore
  if (s === 1 || imageLogProbs === 'conditional') return conditional;
  const alone = predicting(model, pieces, longest, parameters, (piece) => (piece as ImagePiece).begin);
  const unconditional = imageLogits(parameters, model.vocabulary, alone);
  return tf.add(unconditional, tf.mul(tf.sub(conditional, unconditional), s));
}

/** A model that samples and replays, beside a frozen copy. */
export class ChameleonPolicy {
  /** @param reference frozen parameters for the KL penalty; none: replaying with them is an error */
  constructor(
    readonly model: ChameleonModel,
    readonly options: SequenceOptions = {},
    readonly reference?: Parameters,
  ) {}

  /** What learns: the language model. The image tokenizer is frozen. */
  variables(): Readonly<Record<string, tf.Variable>> {
    return this.model.parameters.variables;
  }

  /** `count` sequences after one prompt; the k-th draws from `stream.split(k)`. */
  rollout(
    prompt: readonly number[],
    count: number,
    rng: Rng,
  ): { readonly sequence: SampledSequence; readonly pieces: readonly ChameleonPiece[] }[] {
    const indices = Array.from({ length: count }, (_, k) => k);
    const sequences = sampleSequences(this.model, indices.map(() => prompt), indices.map((k) => rng.split(k)), this.options); // prettier-ignore
    return sequences.map((sequence) => ({ sequence, pieces: sequencePieces(this.model, sequence, this.options) }));
  }

  /** See {@link replayPieces}. @throws Error without a reference, when it is asked for */
  replay(pieces: readonly ChameleonPiece[], weights: 'policy' | 'reference'): tf.Tensor2D {
    if (weights === 'policy') return replayPieces(this.model, pieces);
    if (!this.reference) throw new Error('this policy has no reference; give it one, or set beta to 0');
    return replayPieces(this.model, pieces, this.reference);
  }
}
