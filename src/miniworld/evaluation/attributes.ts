/** How good mini_face and mini_figure are, on strangers and on the concepts. */
import {
  addRecoloredSubjects,
  type Concept,
  conceptReferences,
  CONCEPTS,
  loadSprites,
  PEOPLE_POOL,
  type SpriteSheet,
} from '..';
import { Rng, tf } from '../../engine';
import type { LooksName, MiniLooks } from '../../models/scorers/mini-looks';
import type { MagvitTokenizer } from '../../models/showo/magvit';
import { faceImage, FACES_TAUGHT, attributeLabels } from '../lessons/face-task';
import { figureAttributes, figureImage } from '../lessons/figure-task';
import { figureCrops, type LabeledFigure } from '../lessons/attribute-task';
import { pixelsTensor } from '../../sft/train-magvit';
import { forBoth } from './scorers';
import { type Metric, Tally } from './metrics';

interface Asked {
  /** A figure that it was not taught on. */
  readonly stranger: (rng: Rng, sprites: SpriteSheet) => LabeledFigure;
  /** Whose held-out views are told apart, group by group. */
  readonly concepts: readonly (readonly Concept[])[];
  readonly attributesOf: (concept: Concept) => string[] | undefined;
}

const people = CONCEPTS.filter((concept) => concept.kind === 'person');

const ASKED: Readonly<Record<LooksName, Asked>> = {
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
 * On `n` fresh images of strangers (each look, and all of them: `looks`), and on the concepts: how often a held-out
 * view is nearest to that concept's own training references (`concept`).
 */
export async function evaluateAttributes(
  scorer: MiniLooks,
  imageTokenizer: MagvitTokenizer | undefined,
  n: number,
  seed: number,
): Promise<Record<string, Metric>> {
  const sprites = await loadSprites();
  await addRecoloredSubjects(sprites);
  const rng = new Rng(seed).split(`eval ${scorer.name.replace('mini-', '')}`);
  const { stranger, concepts, attributesOf } = ASKED[scorer.name];
  const { size } = scorer.config;
  const strangers = Array.from({ length: n }, (_, i) => stranger(rng.split(i), sprites));
  const tally = new Tally();
  forBoth(strangers.map((image) => image.pixels), imageTokenizer, (prefix, pixels, from) => {
    const part = strangers.slice(from, from + pixels.shape[0]);
    const seen = Object.entries(scorer.logits(figureCrops(pixels, part, size))).map(
      ([look, logits]) => [look, tf.argMax(logits, 1).dataSync()] as const,
    );
    part.forEach(({ labels }, i) => {
      const right = seen.filter(([look]) => labels[look] >= 0).map(([look, names]) => [look, names[i] === labels[look]] as const); // prettier-ignore
      right.forEach(([look, value]) => tally.add(`${prefix}${look}`, value));
      tally.add(`${prefix}looks`, right.every(([, value]) => value)); // prettier-ignore
    });
  }); // prettier-ignore
  for (const group of concepts) {
    const looks = attributesOf(group[0]);
    const views = (split: 'train' | 'heldout') =>
      group.flatMap((concept) => conceptReferences(concept, split, sprites).map((image) => ({ ...image.scene.items[0], pixels: image.pixels, name: concept.name }))); // prettier-ignore
    const [known, asked] = [views('train'), views('heldout')];
    const references = tf.tidy(() => scorer.embed(figureCrops(pixelsTensor(known.map((view) => view.pixels), 64, 64), known, size), looks)); // prettier-ignore
    forBoth(asked.map((view) => view.pixels), imageTokenizer, (prefix, pixels, from) => {
      const part = asked.slice(from, from + pixels.shape[0]);
      scorer.embed(figureCrops(pixels, part, size), looks).forEach((own, i) => {
        const alike = (name: string) =>
          known.reduce((sum, view, k) => (view.name === name ? sum + own.reduce((dot, v, d) => dot + v * references[k][d], 0) : sum), 0); // prettier-ignore
        const nearest = group.reduce((best, { name }) => (alike(name) > alike(best) ? name : best), group[0].name);
        tally.add(`${prefix}concept`, nearest === part[i].name);
      });
    }); // prettier-ignore
  }
  return tally.metrics(rng);
}
