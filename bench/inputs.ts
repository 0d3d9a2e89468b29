/** What both sides of the benchmark compute on: one model's weights and one set of ids, as files that both read. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { IMAGE_SIZE, loadSprites } from '../src/miniworld';
import { Rng } from '../src/engine';
import { readSafetensors, writeSafetensors } from '../src/io';
import { dataFolder } from '../src/io/package-root';
import { type ShowoConfig, showoVocabulary } from '../src/models/showo/config';
import { conditionTokens, imageStart } from '../src/models/showo/layout';
import { distinct } from '../src/nn/decoder';
import { MagvitTokenizer } from '../src/models/showo/image-tokenizer';
import { MAGVIT_MINI } from '../src/miniworld/curricula/showo-config';
import { ShowoModel } from '../src/models/showo/model';
import { ShowoLayers } from '../src/models/showo/layers';
import type { ImageTransition } from '../src/models/showo/policy';
import { ShowoImageSampler } from '../src/models/showo/sampler';
import { type PackedRow, padRows, scoredOf } from '../src/nn/packed-rows';
import { ParamStore } from '../src/nn/store';
import { miniText, sceneSource } from '../src/miniworld/curricula/scenes';
import { showoRows, type ShowoRows } from '../src/miniworld/curricula/showo-task';
import { writeFileAtomic } from '../src/io/write-file';
import { MINI_CLIP_FOLDER } from '../src/models/scorers/mini-clip';
import { BENCH_SEED, type BenchModel, type BenchSizes, showoOf } from './sizes';
import { JanusBench, type JanusInputs, janusLayers, newJanus } from './janus';
import { BENCH_GRPO, type GrpoSetup, recordGroup, type RecordedPiece } from './grpo';

/** The stage whose batches are trained on, and how. */
export const BENCH_TRAINING = {
  weights: { t2i: 1, mmu: 1, lm: 0.5 },
  weightDecay: 0.01,
  beta2: 0.99,
  learningRate: 1e-3,
} as const;

/** `inputs.json`: first what UniLab reads, then the same in the plain arrays that PyTorch takes. */
export interface BenchInputs {
  readonly config: ShowoConfig;
  readonly sizes: BenchSizes;
  readonly model: BenchModel;
  readonly batches: readonly ShowoRows[];
  /** Captions of the sampled images, as text ids. */
  readonly captions: readonly (readonly number[])[];
  readonly pieces: readonly PlainPiece[];
  /** Images of one group, transition by transition: what the GRPO step is checked on. */
  readonly group: readonly (readonly RecordedPiece[])[];
  readonly janus: JanusInputs;
}

interface PlainPiece {
  readonly condition: readonly number[];
  readonly before: readonly number[];
  readonly ids: readonly number[];
}

const WEIGHTS = 'weights.safetensors';
const REFERENCE = 'reference.safetensors';
const JANUS = 'janus.safetensors';
const IMAGE_TOKENIZER = dataFolder('checkpoints', 'showo-mini', 'tokenizer.safetensors');

/** Makes weights and inputs with the real data, the real batch maker and a real rollout, and writes them to the folder. */
export async function writeInputs(folder: string, name: BenchModel, sizes: BenchSizes): Promise<void> {
  const { text, ...ends } = miniText();
  const config = showoOf(name, { text, ...ends });
  const rng = new Rng(BENCH_SEED);
  const model = ShowoModel.random(config, await shippedImageTokenizer(), text, rng.split('model'));
  const source = sceneSource(await loadSprites(), text, 'train');
  const batches = Array.from({ length: sizes.batches }, (_, i) =>
    showoRows(model, source, { ...sizes, size: IMAGE_SIZE }, rng.split(`batch ${i}`)),
  );
  const captions = Array.from({ length: sizes.rollouts }, (_, i) => source.image(rng.split(`caption ${i}`)).caption);
  const requests = captions.map((condition, i) => ({ condition, draws: rng.split(`draw ${i}`) }));
  const { replays, steps, guidanceScale } = sizes;
  const rollout = ShowoImageSampler.start(model.network, requests, { ...BENCH_GRPO.image, steps, guidanceScale });
  rollout.finish();
  const pieces = rollout.transitions.slice(0, replays).flat().map(plain);
  const group = recordGroup(rollout.transitions, rng.split('old'));
  const store = newJanus(name, rng.split('janus'));
  const bench = new JanusBench(name, store, captions.slice(0, sizes.drawn), sizes);
  const janus: JanusInputs = { captions: captions.slice(0, sizes.drawn), ...bench.sample(64) };
  const inputs: BenchInputs = { config, model: name, sizes, batches, captions, pieces, group, janus };
  const torch = { ...forTorch(inputs), janus: { ...janus, ...bench.forTorch() } };
  await writeFileAtomic(path.join(folder, 'inputs.json'), JSON.stringify({ ...inputs, ...torch }));
  await writeWeights(path.join(folder, JANUS), store);
  store.dispose();
  await writeWeights(path.join(folder, WEIGHTS), model.store);
  // Other weights than the policy's, so that the KL of the check is not 0.
  const reference = ParamStore.random(new ShowoLayers(config), rng.split('reference'));
  await writeWeights(path.join(folder, REFERENCE), reference);
  reference.dispose();
  model.dispose();
}

async function writeWeights(file: string, store: ParamStore): Promise<void> {
  const values = Object.entries(await store.values());
  await writeSafetensors(file, Object.fromEntries(values.map(([name, value]) => [name, { ...value, dtype: 'F32' }])));
}

/** What a worker has: the models and the inputs of {@link writeInputs}. */
export interface BenchParts {
  readonly inputs: BenchInputs;
  readonly model: ShowoModel;
  readonly grpo: GrpoSetup;
  readonly janus: JanusBench;
}

export async function readInputs(folder: string): Promise<BenchParts> {
  const inputs = JSON.parse(await readFile(path.join(folder, 'inputs.json'), 'utf8')) as BenchInputs;
  const load = async (name: string) => {
    const file = path.join(folder, name);
    const layers = new ShowoLayers(inputs.config);
    const store = ParamStore.fromTensors(layers, await readSafetensors(file), file);
    return ShowoModel.of(layers, store, await shippedImageTokenizer(), miniText().text);
  };
  const { captions, group, sizes } = inputs;
  const { steps, guidanceScale } = sizes;
  const setup = { captions, steps, guidanceScale, recorded: group };
  return {
    model: await load(WEIGHTS),
    inputs,
    janus: await readJanus(folder, inputs),
    grpo: { ...setup, model: await load(WEIGHTS), reference: await load(REFERENCE) },
  };
}

async function readJanus(folder: string, { model, sizes, janus }: BenchInputs): Promise<JanusBench> {
  const file = path.join(folder, JANUS);
  const store = ParamStore.fromTensors(janusLayers(model), await readSafetensors(file), file);
  return new JanusBench(model, store, janus.captions, sizes);
}

/** Images that are trained on and scored are those of the checkpoint that ships. */
export async function shippedImageTokenizer(): Promise<MagvitTokenizer> {
  return MagvitTokenizer.fromTensors(MAGVIT_MINI, await readSafetensors(IMAGE_TOKENIZER), IMAGE_TOKENIZER);
}

/** Pieces as replay takes them. Those of one prompt have one array of it, as a rollout leaves them. */
export function piecesOf(pieces: readonly PlainPiece[], guidanceScale: number): ImageTransition[] {
  const { unique, of } = distinct(
    pieces.map(({ condition }) => condition),
    (ids) => ids.join(),
  );
  return pieces.map((piece, i) => pieceOf({ ...piece, condition: unique[of[i]] }, guidanceScale));
}

function pieceOf({ condition, before, ids }: PlainPiece, guidanceScale: number): ImageTransition {
  return {
    segment: 'generation',
    condition,
    inputIds: Int32Array.from(before),
    sampledIds: Int32Array.from(ids),
    guidanceScale,
    imageLogProbs: 'guided',
    logProbs: new Float32Array(ids.length),
    actionMask: new Uint8Array(ids.length).fill(1),
  };
}

function plain({ condition, inputIds, sampledIds }: ImageTransition): PlainPiece {
  return { condition, before: [...inputIds], ids: [...sampledIds] };
}

function trainingGroups(config: ShowoConfig, batch: ShowoRows) {
  const start = imageStart(config);
  const images = batch.images.map(({ labels }) => {
    const positions = labels
      .map((_, i) => i)
      .filter((i) => i >= start && i < start + config.num_vq_tokens && labels[i] >= 0);
    return { positions, targets: positions.map((i) => labels[i]) };
  });
  const answers = (rows: readonly PackedRow[], weight: number) => {
    const padded = padRows(rows, showoVocabulary(config).pad);
    const { at, targets } = scoredOf(padded);
    return {
      weight,
      ids: padded.map((row) => row.ids),
      places: padded.map((row) => row.positions),
      starts: padded.map((row) => row.starts),
      shared: padded.map((row) => row.shared),
      image: padded[0].mutual ?? false,
      positions: at,
      targets,
    };
  };
  const { weights } = BENCH_TRAINING;
  return [
    {
      weight: weights.t2i,
      ids: batch.images.map((row) => row.ids),
      positions: images.flatMap((s, b) => s.positions.map((i) => b * batch.images[0].ids.length + i)),
      targets: images.flatMap((s) => s.targets),
    },
    answers(batch.answers, weights.mmu),
    answers(batch.texts, weights.lm),
  ];
}

function forTorch({ config, sizes, batches, captions, pieces, group }: BenchInputs) {
  const dropped = [conditionTokens(config, null)];
  const { steps, guidanceScale } = sizes;
  return {
    vocabulary: showoVocabulary(config),
    training: { ...BENCH_TRAINING, batches: batches.map((batch) => trainingGroups(config, batch)) },
    rollout: { conditions: captions.map((text) => conditionTokens(config, text)), dropped, steps, guidanceScale },
    replay: {
      conditions: pieces.map((piece) => conditionTokens(config, piece.condition)),
      before: pieces.map((piece) => piece.before),
      chosen: pieces.map((piece) => piece.ids),
      dropped,
      guidanceScale,
    },
    grpo: grpoForTorch(captions, group),
  };
}

function grpoForTorch(captions: BenchInputs['captions'], group: BenchInputs['group']) {
  const { epsilon, epsilonHigh, beta, klClamp, learningRate, weightDecay, maxGradNorm, segmentWeights } = BENCH_GRPO;
  const common = { epsilon, epsilonHigh, beta, klClamp, learningRate, weightDecay, maxGradNorm };
  const of = (key: keyof RecordedPiece) => group.map((pieces) => pieces.map((piece) => piece[key]));
  return {
    options: { ...common, weight: segmentWeights.generation, chunk: BENCH_GRPO.chunk ?? 24 },
    reward: {
      tokenizer: IMAGE_TOKENIZER,
      magvit: MAGVIT_MINI,
      clip: dataFolder('checkpoints', MINI_CLIP_FOLDER, 'model.safetensors'),
      prompts: captions,
    },
    before: of('before'),
    chosen: of('ids'),
    old: of('old'),
    mask: of('mask'),
  };
}
