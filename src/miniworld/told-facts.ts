/** Facts about a concept that are told for the first time: what a prompt leaves open is to be read, not remembered. */
import type { Rng } from '../engine/random';
import { type Concept, conceptFacts } from './concepts';
import type { Fact } from './facts';
import { SCENIC_BACKGROUNDS, TRAIN_COMBINATIONS } from './world';

/** The fact among random ones of all other places, in random order. */
export function tellAround(asked: Fact, rng: Rng): Fact[] {
  const others = SCENIC_BACKGROUNDS.filter((background) => background !== asked.background);
  return rng.shuffle([asked, ...others.map((background) => ({ background, ...rng.pick(TRAIN_COMBINATIONS) }))]);
}

/**
 * Facts that training may tell, of which one is asked for: of a place that a training fact has, about a thing in a color
 * that training shows. None of them is a fact that the concept is tested with.
 */
export function trainingTale(concept: Concept, rng: Rng): { asked: Fact; told: Fact[] } {
  const { background } = rng.pick(conceptFacts(concept, 'train'));
  const asked: Fact = { background, ...rng.pick(TRAIN_COMBINATIONS) };
  const testing = conceptFacts(concept, 'heldout').map(keyOf);
  for (let attempt = 0; ; attempt++) {
    const told = tellAround(asked, rng.split(attempt));
    if (!told.some((fact) => testing.includes(keyOf(fact)))) return { asked, told };
  }
}

const keyOf = ({ background, color, object }: Fact) => `${background} ${color} ${object}`;
