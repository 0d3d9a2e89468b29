/** Teaching mini_face and mini_figure: the looks of figures, as rendered and as generated. */
import { IMAGE_SIZE } from '../world';
import { crossEntropy, type Rng, tf } from '../../engine';
import type { MiniLooks } from '../../models/scorers/mini-looks';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../io';
import { augmented, type BinaryTokenizer, reconstructions } from './images';

/** Label of a look that a figure does not have: not scored. */
export const UNSEEN = -100;

/** An image, where its figure stands, and the number of each of the figure's looks. */
export interface LabeledFigure {
  /** RGB bytes `[64, 64, 3]` */
  readonly pixels: Uint8Array;
  /** Left and upper edge of the figure, pixels. */
  readonly x: number;
  readonly y: number;
  readonly labels: Readonly<Record<string, number>>;
}

export interface AttributeOptions {
  /** Figures a batch. */
  readonly batch: number;
  /** Images that have gone through the image tokenizer: half of each batch comes from them. */
  readonly pool: number;
}

/** Crops and what is true of them. */
export interface AttributeBatch {
  readonly crops: tf.Tensor4D;
  /** `[batch]` int32 of each look */
  readonly labels: Readonly<Record<string, tf.Tensor1D>>;
}

/** The figures cut out, `[n, size, size, 3]` in [-1, 1]. @param size of the crops, pixels */
export function figureCrops(
  pixels: tf.Tensor4D,
  figures: readonly { readonly x: number; readonly y: number }[],
  size: number,
): tf.Tensor4D {
  return tf.tidy(() =>
    tf.concat4d(
      figures.map(({ x, y }, i) => tf.slice(pixels, [i, y, x, 0], [1, size, size, 3])),
      0,
    ),
  );
}

/** The task; its loss is the sum of the looks' cross-entropies. @param imageTokenizer see `trainClip` */
export function attributeTask(
  scorer: MiniLooks,
  draw: (rng: Rng) => LabeledFigure,
  imageTokenizer: BinaryTokenizer | undefined,
  options: AttributeOptions,
  rng: Rng,
): SupervisedTask<AttributeBatch> {
  const some = Array.from({ length: imageTokenizer ? options.pool : 0 }, (_, i) => draw(rng.split('pool').split(i)));
  const rendered = some.map((figure) => figure.pixels);
  const back = imageTokenizer ? reconstructions(imageTokenizer, rendered, rng.split('bits')) : [];
  const pool = some.map((figure, i) => ({ ...figure, pixels: back[i] }));
  const { looks, size } = scorer.config;
  return {
    name: scorer.name,
    variables: scorer.parameters.variables,
    batch: (_step, own) => {
      const rows = Array.from({ length: options.batch }, (_, i) => {
        const each = own.split(i);
        return i % 2 && pool.length > 0 ? each.pick(pool) : draw(each);
      });
      const images = rows.map((row) => row.pixels);
      const clean = pixelsTensor(images, IMAGE_SIZE, IMAGE_SIZE);
      const soft = augmented(clean, own.split('augment'));
      const crops = figureCrops(soft, rows, size);
      tf.dispose([clean, soft]);
      const column = (look: string) => tf.tensor1d(Int32Array.from(rows, (row) => row.labels[look]));
      return { crops, labels: Object.fromEntries(Object.keys(looks).map((look) => [look, column(look)])) };
    },
    loss: ({ crops, labels }) => {
      const metrics = Object.fromEntries(
        Object.entries(scorer.logits(crops)).map(([look, values]) => [look, crossEntropy(values, labels[look])]),
      );
      return { loss: tf.addN<tf.Scalar>(Object.values(metrics)), metrics };
    },
  };
}
