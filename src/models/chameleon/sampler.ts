/** What was drawn, as segments: text, image, text, ..; and images that are drawn one code a step. */
import type { ImageSampler, ImageSegment, Segment } from '../unified';
import { openImage } from './layout';
import type { ChameleonNetwork } from './network';
import type { ChameleonTransition, ImageTransition } from './policy';
import { scoringTemperature } from '../../nn/token-sampling';
import type { SampledSequence, SamplingPlan, SequenceBatch } from './sequence-batch';

/**
 * The runs of a sampled sequence, in order: text up to the token that ends it (a stop token, or an image's begin token),
 * an image from the token after its begin token to its end token.
 * @param plan with which it was sampled
 * @param say ids of text as words
 */
export function segmentsOf(
  network: ChameleonNetwork,
  { prompt, ids, logProbs, drawn, inImage, maxImages }: SampledSequence,
  plan: SamplingPlan,
  say: (ids: readonly number[]) => string,
): Segment<ChameleonTransition>[] {
  const v = network.vocabulary;
  const sequence = [...prompt, ...ids];
  const segments: Segment<ChameleonTransition>[] = [];
  let images = openImage(v, prompt) < 0 ? 0 : 1;
  for (let from = 0, to = 0; from < ids.length; from = to) {
    const isImage = inImage[from] === 1;
    for (to = from + 1; to < ids.length && (inImage[to] === 1) === isImage && ids[to - 1] !== v.boi;) to++;
    const own = {
      sequence,
      from: prompt.length + from,
      sampledIds: ids.slice(from, to),
      logProbs: logProbs.slice(from, to),
      actionMask: drawn.slice(from, to),
      temperature: scoringTemperature(isImage ? plan.image : plan.text),
    };
    if (isImage) {
      const { guidanceScale, imageLogProbs } = plan.image;
      const begin = sequence.lastIndexOf(v.boi, own.from - 1);
      const codes = sequence.slice(begin + 1, prompt.length + to).filter((id) => v.codeOfId[id] >= 0);
      segments.push({
        name: 'generation',
        codes: Int32Array.from(codes, (id) => v.codeOfId[id]),
        grid: plan.grid,
        transitions: [{ ...own, segment: 'generation', begin, guidanceScale, imageLogProbs }],
      });
    } else {
      const last = ids[to - 1];
      segments.push({
        name: 'understanding',
        text: say([...own.sampledIds]),
        finished: last === v.boi || plan.stop.includes(last),
        transitions: [{ ...own, segment: 'understanding', mayBeginImage: images < maxImages }],
      });
      if (last === v.boi) images++;
    }
  }
  return segments;
}

/** Images drawn one code a step; tokens that the layout fixes are put in their places on the way. */
export class ChameleonImageSampler implements ImageSampler<ImageTransition> {
  readonly steps: number;
  private count = 0;
  private gone = false;

  constructor(
    private readonly network: ChameleonNetwork,
    private readonly batch: SequenceBatch,
    private readonly plan: SamplingPlan,
  ) {
    this.steps = plan.grid[0] * plan.grid[1];
  }

  get stepsDone(): number {
    return this.count;
  }

  get done(): boolean {
    return this.batch.done;
  }

  step(): void {
    this.checkUsable();
    if (this.done) return;
    this.passFixed();
    this.batch.step();
    this.passFixed();
    this.count++;
  }

  select(indices: readonly number[]): ChameleonImageSampler {
    this.checkUsable();
    const rest = new ChameleonImageSampler(this.network, this.batch.select(indices), this.plan);
    rest.count = this.count;
    this.gone = true;
    return rest;
  }

  finish(): ImageSegment<ImageTransition>[] {
    while (!this.done) this.step();
    return this.batch
      .finish()
      .map((sequence) => segmentsOf(this.network, sequence, this.plan, () => '')[0] as ImageSegment<ImageTransition>);
  }

  dispose(): void {
    if (!this.gone) this.batch.dispose();
    this.gone = true;
  }

  private passFixed(): void {
    while (!this.batch.done && this.batch.nextIsFixed) this.batch.step();
  }

  private checkUsable(): void {
    if (this.gone) throw new Error('this sampler was disposed of, or goes on as the one that select() gave');
  }
}
