/** Teaching mini_face: the looks of generic people, alone or beside something, as rendered and as generated. */
import {
  genericPerson,
  GROUNDS,
  HAIR_COLOURS,
  HAIR_STYLES,
  loadSprites,
  PEOPLE_POOL,
  type PersonAttributes,
  renderScene,
  sampleScene,
  SIZES,
  SKIN_TONES,
  type SpriteSheet,
} from '../../data';
import { crossEntropy, type Stream, tf } from '../../engine';
import { MINI_FACE_TRUNK, MiniFace, type MiniFaceConfig } from '../../models/experts/mini-face';
import type { MagvitTokenizer } from '../../models/showo/magvit';
import type { SupervisedTask } from '../../sft/loop';
import { pixelsTensor } from '../../sft/train-magvit';
import { augmented, reconstructions } from './pictures';

/** Not scored: hair has no colour where there is none. */
const UNSEEN = -100;

/** The looks that make a person that person. */
export const MINI_FACE_CONFIG: MiniFaceConfig = {
  size: SIZES.creature,
  trunk: MINI_FACE_TRUNK,
  looks: {
    hair_style: HAIR_STYLES,
    hair_colour: HAIR_COLOURS,
    skin: SKIN_TONES,
    glasses: ['no', 'yes'],
    beard: ['no', 'yes'],
  },
};

/** Everybody of the pool for teaching but the last ones, who are for measuring. */
export const FACES_TAUGHT = PEOPLE_POOL - 60;

/** Number of each look of {@link MINI_FACE_CONFIG}. */
export function lookLabels(person: PersonAttributes): Record<string, number> {
  const coloured = person.hairStyle !== 'bald' || person.beard;
  return {
    hair_style: HAIR_STYLES.indexOf(person.hairStyle),
    hair_colour: coloured ? HAIR_COLOURS.indexOf(person.hairColour) : UNSEEN,
    skin: SKIN_TONES.indexOf(person.skin),
    glasses: person.glasses ? 1 : 0,
    beard: person.beard ? 1 : 0,
  };
}

/** A picture of a generic person and where the figure stands. */
export interface FacePicture {
  /** RGB bytes `[64, 64, 3]` */
  readonly pixels: Uint8Array;
  readonly person: PersonAttributes;
  readonly x: number;
  readonly y: number;
}

/** A person with a number in [from, to), alone or beside an object, on any ground. */
export function facePicture(stream: Stream, sprites: SpriteSheet, from = 0, to = FACES_TAUGHT): FacePicture {
  const scene = sampleScene(stream, 'train', stream.uniform() < 0.5 ? 'creature' : 'creature+object');
  const index = from + stream.int(to - from);
  const [who, ...rest] = scene.items;
  const figure = { ...who, object: 'person' as const, style: `person-${index}`, attributes: genericPerson(index) };
  const shown = { ...scene, ground: stream.pick(GROUNDS), items: [figure, ...rest] };
  return { pixels: renderScene(shown, sprites), person: figure.attributes, x: who.x, y: who.y };
}

/** The figures cut out, `[n, size, size, 3]` in [-1, 1]. */
export function faceCrops(pixels: tf.Tensor4D, pictures: readonly { x: number; y: number }[]): tf.Tensor4D {
  const size = MINI_FACE_CONFIG.size;
  return tf.tidy(() =>
    tf.concat4d(
      pictures.map(({ x, y }, i) => tf.slice(pixels, [i, y, x, 0], [1, size, size, 3])),
      0,
    ),
  );
}

/** Crops and what is true of them. */
export interface FaceBatch {
  readonly crops: tf.Tensor4D;
  /** `[batch]` int32 of each look */
  readonly labels: Readonly<Record<string, tf.Tensor1D>>;
}

function faceBatch(sprites: SpriteSheet, pool: readonly FacePicture[], size: number, stream: Stream): FaceBatch {
  const rows = Array.from({ length: size }, (_, i) => {
    const own = stream.fork(i);
    return i % 2 && pool.length > 0 ? own.pick(pool) : facePicture(own, sprites);
  });
  const clean = pixelsTensor(rows.map((row) => row.pixels), 64, 64); // prettier-ignore
  const soft = augmented(clean, stream.fork('augment'));
  const crops = faceCrops(soft, rows);
  tf.dispose([clean, soft]);
  const labels = rows.map((row) => lookLabels(row.person));
  const column = (look: string) => tf.tensor1d(labels.map((row) => row[look]), 'int32'); // prettier-ignore
  return {
    crops,
    labels: Object.fromEntries(Object.keys(MINI_FACE_CONFIG.looks).map((look) => [look, column(look)])),
  };
}

/** A fresh mini_face and its task; the loss is the sum of the looks' cross-entropies. @param images see `trainClip` */
export async function faceTraining(
  images: MagvitTokenizer | undefined,
  options: { batch: number; pool: number },
  stream: Stream,
) {
  const sprites = await loadSprites();
  const face = MiniFace.random(MINI_FACE_CONFIG, stream.fork('mini-face'));
  const some = Array.from({ length: images ? options.pool : 0 }, (_, i) => facePicture(stream.fork('pool').fork(i), sprites)); // prettier-ignore
  const back = images ? reconstructions(images, some.map((picture) => picture.pixels), stream.fork('bits')) : []; // prettier-ignore
  const pool = some.map((picture, i) => ({ ...picture, pixels: back[i] }));
  const task: SupervisedTask<FaceBatch> = {
    name: 'mini-face',
    variables: face.parameters.variables,
    batch: (_step, own) => faceBatch(sprites, pool, options.batch, own),
    loss: ({ crops, labels }) => {
      const logits = face.logits(crops);
      const metrics = Object.fromEntries(
        Object.entries(logits).map(([look, values]) => [look, crossEntropy(values, labels[look])]),
      );
      return { loss: tf.addN<tf.Scalar>(Object.values(metrics)), metrics };
    },
  };
  return { face, task };
}
