/** Which runs there are: what is compared with what, on which seeds, in the order in which they are worked through. */
import type { Method } from '../../src/eval';

export interface ListedRun {
  readonly method: Method;
  /** `full`, `control`, or an ablation's name. */
  readonly variant: string;
  readonly backbone: string;
  readonly seed: number;
}

/** The metrics that a method is judged by. */
export const HEADLINES: Readonly<Record<Method, readonly string[]>> = {
  'sync-grpo': ['joint_success', 'rea_gen'],
  corl: ['mini-geneval', 'mini-math'],
  'mm-r1': ['subject_similarity', 'text_alignment'],
};

export const BACKBONES: Readonly<Record<Method, string>> = {
  'sync-grpo': 'showo-mini',
  corl: 'janus-mini',
  'mm-r1': 'chameleon-mini',
};

/** Seeds from here on are for choosing options; none of them is reported. */
export const VALIDATION_SEED = 101;

const HEADLINE_SEEDS = [1, 2, 3, 4, 5];
const ABLATION_SEEDS = [1, 2];

const ABLATIONS: Readonly<Record<Method, readonly string[]>> = {
  'sync-grpo': [
    'without-understanding',
    'without-via',
    'without-tia',
    'without-dsog',
    'joint',
    'without-tier',
    'without-ber',
    'without-der',
    'text-prompt',
    'textual-inversion',
    'dreambooth',
  ],
  corl: ['cycle', 'tim', 'separate-advantages'],
  'mm-r1': [
    'control-targets',
    'base',
    'reasoning',
    'without-grpo',
    'without-xcot',
    'format',
    'format+similarity',
    'format+text',
  ],
};

const METHODS = Object.keys(HEADLINES) as Method[];

const runsOf = (method: Method, variants: readonly string[], seed: number): ListedRun[] =>
  variants.map((variant) => ({ method, variant, backbone: BACKBONES[method], seed }));

/** Headlines first, seed by seed; then ablations. */
export const RUNS: readonly ListedRun[] = [
  ...HEADLINE_SEEDS.flatMap((seed) => METHODS.flatMap((method) => runsOf(method, ['full', 'control'], seed))),
  ...ABLATION_SEEDS.flatMap((seed) => METHODS.flatMap((method) => runsOf(method, ABLATIONS[method], seed))),
];

/** What a run's files are called. */
export const nameOf = ({ method, variant, backbone, seed }: ListedRun) => `${method}-${variant}-${backbone}-${seed}`;

/** The runs of the first seed with another one, of which nothing is reported. @throws RangeError for a seed that is reported */
export function validationRuns(seed: number): ListedRun[] {
  if (!(Number.isInteger(seed) && seed >= VALIDATION_SEED))
    throw new RangeError(
      `options are chosen on seeds from ${VALIDATION_SEED}, got ${seed}: no others, they are reported`,
    );
  return RUNS.filter((run) => run.seed === HEADLINE_SEEDS[0]).map((run) => ({ ...run, seed }));
}

/**
 * The runs whose name holds one of the given texts, in the order of the list.
 * @throws RangeError for a text that no run's name holds
 */
export function chosen(texts: readonly string[], runs: readonly ListedRun[] = RUNS): ListedRun[] {
  const strange = texts.filter((text) => !runs.some((run) => nameOf(run).includes(text)));
  if (strange.length > 0)
    throw new RangeError(`no run's name holds ${strange.map((text) => `'${text}'`).join(', ')}; --list prints them`);
  return runs.filter((run) => texts.length === 0 || texts.some((text) => nameOf(run).includes(text)));
}
