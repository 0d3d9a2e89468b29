/**
 * GenEval's verdict on one image (Ghosh et al. 2023, Sec. 3.2), as the released script takes it from what a detector
 * found: how many of each class, of which color, where to each other.
 */

/** A thing that was found, the most confident of its class first. */
export interface FoundObject {
  readonly label: string;
  readonly score: number;
  readonly box: readonly [left: number, top: number, right: number, bottom: number];
  /** Named for those whose color is asked for. */
  readonly color?: string;
}

/** A thing that the prompt asks for. */
export interface WantedObject {
  readonly class: string;
  readonly count: number;
  readonly color?: string;
  /** A relation, and the index of the wanted thing that it is to. */
  readonly position?: readonly [relation: string, to: number];
}

/** Confidence from which a detection counts; higher where things are counted. */
export const genEvalThreshold = (tag: string): number => (tag === 'counting' ? 0.9 : 0.3);

/** Objects of a class that are looked at. */
export const GENEVAL_MAX_OBJECTS = 16;

/** Colors that are told apart. */
export const GENEVAL_COLORS = 'red orange yellow green blue purple pink brown black white'.split(' ');

/** Share of both sizes within which two centers count as level. */
const LEVEL = 0.1;

/** Where one box is to another: `left of`, `above` and so on; two at most. */
export function relativePosition(a: FoundObject['box'], b: FoundObject['box']): Set<string> {
  const center = (box: FoundObject['box'], axis: 0 | 1) => (box[axis] + box[axis + 2]) / 2;
  const size = (box: FoundObject['box'], axis: 0 | 1) => Math.abs(box[axis + 2] - box[axis]);
  const offset = ([0, 1] as const).map((axis) => center(a, axis) - center(b, axis));
  const revised = ([0, 1] as const).map(
    (axis) => Math.sign(offset[axis]) * Math.max(Math.abs(offset[axis]) - LEVEL * (size(a, axis) + size(b, axis)), 0),
  );
  const relations = new Set<string>();
  if (revised.every((value) => Math.abs(value) < 1e-3)) return relations;
  const [dx, dy] = revised.map((value) => value / Math.hypot(...offset));
  if (dx < -0.5) relations.add('left of');
  if (dx > 0.5) relations.add('right of');
  if (dy < -0.5) relations.add('above');
  if (dy > 0.5) relations.add('below');
  return relations;
}

/**
 * Whether the image shows what the prompt asks for. Only the first `count` of each class are looked at; that there are
 * no more of them is what `exclude` is for.
 */
export function genEvalVerdict(
  include: readonly WantedObject[],
  exclude: readonly WantedObject[],
  found: readonly FoundObject[],
): boolean {
  const of = (label: string) => found.filter((one) => one.label === label);
  const groups = include.map((wanted) => of(wanted.class).slice(0, wanted.count));
  const isThere = include.every((wanted, i) => {
    const group = groups[i];
    if (group.length < wanted.count) return false;
    if (wanted.color !== undefined && group.filter(({ color }) => color === wanted.color).length < wanted.count)
      return false;
    if (!wanted.position) return true;
    const [relation, to] = wanted.position;
    const targets = groups[to] ?? [];
    return group.every((one) => targets.every((target) => relativePosition(one.box, target.box).has(relation)));
  });
  return isThere && exclude.every((unwanted) => of(unwanted.class).length < unwanted.count);
}
