/** How good mini_face and mini_figure are, on strangers and on the concepts. */
import { conceptReferences } from '../concept-images';
import { type Concept, CONCEPTS } from '../concepts';
import { PEOPLE_POOL } from '../people';
import { addRecoloredSubjects } from '../recolored-subjects';
import { loadSprites, type SpriteSheet } from '../sprites';
import { IMAGE_SIZE } from '../world';
import { Rng, tf } from '../../engine';
import type { LooksName, MiniLooks } from '../../models/scorers/mini-looks';
import type { BinaryTokenizer } from '../lessons/images';
import { faceImage, FACES_TAUGHT, attributeLabels } from '../lessons/face-task';
import { figureAttributes, figureImage } from '../lessons/figure-task';
import { figureCrops, type LabeledFigure } from '../lessons/attribute-task';
import { pixelsTensor } from '../../io';
import { forBoth } from './scorers';
import { type Metric, Tally } from './metrics';

/** Whom a scorer is asked about. */
interface EvaluatedSubjects {
  /** A figure that it was not taught on. */
  readonly stranger: (rng: Rng, sprites: SpriteSheet) => LabeledFigure;
  /** Whose held-out views are told apart, group by group. */
  readonly concepts: readonly (readonly Concept[])[];
  readonly attributesOf: (concept: Concept) => string[] | undefined;
}

const people = CONCEPTS.filter((concept) => concept.kind === 'person');

const SUBJECTS_OF: Readonly<Record<LooksName, EvaluatedSubjects>> = {
  'mini-face': {
    stranger: (rng, sprites) => {
      const { person, ...image } = faceImage(rng, sprites, FACES_TAUGHT, PEOPLE_POOL);
      return { ...image, labels: attributeLabels(person) };
    },
    concepts: [people],
    attributesOf: () => undefined,
  },
  'mini-figure': {
    stranger: (rng, sprites) => figureImage(rng, sprites, [FACES_TAUGHT, PEOPLE_POOL]),
    concepts: [people, CONCEPTS.filter((concept) => concept.kind !== 'person')],
    attributesOf: (concept) => figureAttributes(concept.kind),
  },
};

/**
 * On `n` fresh images of strangers (each attribute, and all of them: `looks`), and on the concepts: how often a held-out
 * view is nearest to that concept's own training references (`concept`).
 */
export async function evaluateAttributes(
  scorer: MiniLooks,
  imageTokenizer: BinaryTokenizer | undefined,
  n: number,
  seed: number,
): Promise<Record<string, Metric>> {
  const sprites = await loadSprites();
  await addRecoloredSubjects(sprites);
  const rng = new Rng(seed).split(`eval ${scorer.name.replace('mini-', '')}`);
  const { stranger, concepts, attributesOf } = SUBJECTS_OF[scorer.name];
  const tally = new Tally();
  const strangers = Array.from({ length: n }, (_, i) => stranger(rng.split(i), sprites));
  const shown = strangers.map((image) => image.pixels);
  forBoth(shown, imageTokenizer, (prefix, pixels, from) => {
    const part = strangers.slice(from, from + pixels.shape[0]);
    tallyAttributes(scorer, pixels, part, (name, right) => tally.add(`${prefix}${name}`, right));
  });
  for (const group of concepts) {
    const gallery = new ConceptGallery(scorer, group, attributesOf(group[0]), sprites);
    const asked = conceptViews(group, 'heldout', sprites);
    const views = asked.map((view) => view.pixels);
    forBoth(views, imageTokenizer, (prefix, pixels, from) => {
      const part = asked.slice(from, from + pixels.shape[0]);
      for (const [i, name] of gallery.nearest(pixels, part).entries())
        tally.add(`${prefix}concept`, name === part[i].name);
    });
  }
  return tally.metrics(rng);
}

/** Which attributes of each figure are named right, those that it has. */
function tallyAttributes(
  scorer: MiniLooks,
  pixels: tf.Tensor4D,
  figures: readonly LabeledFigure[],
  add: (name: string, right: boolean) => void,
): void {
  const logits = scorer.logits(figureCrops(pixels, figures, scorer.config.size));
  const named = Object.entries(logits).map(([name, values]) => [name, tf.argMax(values, 1).dataSync()] as const);
  for (const [i, { labels }] of figures.entries()) {
    const scored = named.filter(([name]) => labels[name] >= 0);
    for (const [name, values] of scored) add(name, values[i] === labels[name]);
    const all = scored.every(([name, values]) => values[i] === labels[name]);
    add('looks', all);
  }
}

/** An image of a concept, and where its figure stands. */
interface ConceptView {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly pixels: Uint8Array;
}

function conceptViews(group: readonly Concept[], split: 'train' | 'heldout', sprites: SpriteSheet): ConceptView[] {
  return group.flatMap(({ name }, i) =>
    conceptReferences(group[i], split, sprites).map(({ pixels, scene }) => {
      const { x, y } = scene.items[0];
      return { name, x, y, pixels };
    }),
  );
}

/** Embeddings of the concepts' training references. */
class ConceptGallery {
  private readonly known: readonly ConceptView[];
  private readonly embeddings: readonly Float32Array[];

  constructor(
    private readonly scorer: MiniLooks,
    private readonly group: readonly Concept[],
    private readonly attributes: string[] | undefined,
    sprites: SpriteSheet,
  ) {
    this.known = conceptViews(group, 'train', sprites);
    const images = this.known.map((view) => view.pixels);
    this.embeddings = tf.tidy(() => this.embed(pixelsTensor(images, IMAGE_SIZE, IMAGE_SIZE), this.known));
  }

  /** The concept whose references are most alike in sum, for each figure. */
  nearest(pixels: tf.Tensor4D, figures: readonly ConceptView[]): string[] {
    return this.embed(pixels, figures).map((embedding) => {
      const similarity = new Map(this.group.map(({ name }) => [name, 0]));
      for (const [k, { name }] of this.known.entries())
        similarity.set(name, (similarity.get(name) ?? 0) + dot(embedding, this.embeddings[k]));
      return [...similarity].reduce((best, entry) => (entry[1] > best[1] ? entry : best))[0];
    });
  }

  private embed(pixels: tf.Tensor4D, figures: readonly ConceptView[]): Float32Array[] {
    return this.scorer.embed(figureCrops(pixels, figures, this.scorer.config.size), this.attributes);
  }
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
