/** A playground for image samplers: prompt, guidance, steps and seed to play with, and the image at each step. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Displayable, jupyterDisplay, type MimeBundle } from '../bundle';
import { type CaptionedImage, imageGrid } from '../grid';
import { imagesOf, pngOf } from '../images';
import { AnyWidget } from './anywidget';
import { playgroundModule, playgroundStyle } from './playground-page';

/** What can be played with. */
export interface PlaygroundSettings {
  readonly prompt: string;
  /** s of `uncond + s (cond - uncond)`, 0 to 10; 1: no guidance. */
  readonly guidance: number;
  readonly steps: number;
  readonly seed: number;
}

/**
 * Draws an image, and yields what it is after each step.
 * @param signal aborted when other settings are wanted, or nobody waits any more
 */
export type DrawSteps = (settings: PlaygroundSettings, signal: AbortSignal) => AsyncIterable<CaptionedImage>;

export interface PlaygroundOptions extends Partial<PlaygroundSettings> {
  /** Most steps that can be chosen. Default 16. */
  readonly maxSteps?: number;
}

interface PlaygroundState extends PlaygroundSettings {
  readonly maxSteps: number;
  readonly pictures: readonly { readonly png: Uint8Array; readonly caption: string }[];
  /** A line for people. */
  readonly status: string;
}

const settingNames = ['prompt', 'guidance', 'steps', 'seed'] as const;

/** What the page wants, within bounds: nothing is taken that is no number where one belongs. */
function acceptSettings(changes: Partial<PlaygroundState>, maxSteps: number): Partial<PlaygroundState> {
  const bounded = (value: number | undefined, low: number, high: number, whole: boolean): number | undefined => {
    if (value === undefined || !Number.isFinite(Number(value))) return undefined;
    return Math.min(high, Math.max(low, whole ? Math.round(Number(value)) : Number(value)));
  };
  const wanted = {
    prompt: changes.prompt === undefined ? undefined : String(changes.prompt),
    guidance: bounded(changes.guidance, 0, 10, false),
    steps: bounded(changes.steps, 1, maxSteps, true),
    seed: bounded(changes.seed, 0, 2 ** 31 - 1, true),
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
}

export class SamplerPlayground implements Displayable {
  readonly widget: AnyWidget<PlaygroundState>;
  private shown: readonly CaptionedImage[] = [];
  private drawing?: AbortController;

  constructor(
    private readonly drawSteps: DrawSteps,
    options: PlaygroundOptions = {},
  ) {
    const { maxSteps = 16, prompt = '', guidance = 3, steps = Math.min(8, maxSteps), seed = 0 } = options;
    this.widget = new AnyWidget<PlaygroundState>({
      _esm: playgroundModule,
      _css: playgroundStyle,
      state: { prompt, guidance, steps, seed, maxSteps, pictures: [], status: '' },
      still: () => this.still(),
      accept: (changes) => acceptSettings(changes, maxSteps),
    });
    this.widget.on('change', (changes, origin) => {
      if (origin === 'page' && settingNames.some((name) => name in changes)) return this.drawForPage();
    });
    this.widget.on('message', (content) => {
      if ((content as { draw?: string } | null)?.draw !== 'another seed') return;
      this.widget.set({ seed: (this.settings.seed + 1) % 2 ** 31 });
      return this.drawForPage();
    });
  }

  get settings(): PlaygroundSettings {
    const { prompt, guidance, steps, seed } = this.widget.state;
    return { prompt, guidance, steps, seed };
  }

  /** The images of the last drawing, one a step. */
  get pictures(): readonly CaptionedImage[] {
    return this.shown;
  }

  /**
   * Draws with the settings as they are, or as they are given. Another drawing that is under way ends.
   * @returns settles when the last image is there, or another drawing began
   * @throws what the sampler throws, a prompt that it does not understand, say
   */
  async draw(changes: Partial<PlaygroundSettings> = {}): Promise<void> {
    this.widget.set(changes);
    this.drawing?.abort();
    const drawing = new AbortController();
    this.drawing = drawing;
    this.shown = [];
    this.widget.set({ pictures: [], status: 'drawing …' });
    try {
      for await (const one of this.drawSteps(this.settings, drawing.signal)) {
        if (drawing.signal.aborted) return;
        await this.add(one);
        await nextTurn(); // the page may want something else by now
      }
      if (!drawing.signal.aborted) this.widget.set({ status: `${this.shown.length} steps` });
    } catch (error) {
      if (drawing.signal.aborted) return;
      this.widget.set({ status: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }

  /** The page shows what went wrong: it need not be said twice. */
  private drawForPage(): Promise<void> {
    return this.draw().catch(() => undefined);
  }

  private async add({ image, caption = `step ${this.shown.length + 1}` }: CaptionedImage): Promise<void> {
    const [pixels] = imagesOf(image);
    const png = await pngOf(pixels, 1);
    this.shown = [...this.shown, { image: pixels, caption }];
    this.widget.set({ pictures: [...this.widget.state.pictures, { png, caption }] });
  }

  /** A plain picture of the last drawing, for pages without a kernel. */
  private still(): unknown {
    const { prompt, guidance, steps, seed } = this.settings;
    const title = `${prompt} · guidance ${guidance} · ${steps} steps · seed ${seed}`;
    if (this.shown.length === 0) return title;
    const grid = imageGrid(this.shown, { title, columns: 8, size: 64 });
    const picture = async (): Promise<MimeBundle> => {
      const { 'text/html': _grid, ...rest } = await grid[jupyterDisplay]();
      return rest;
    };
    return { [jupyterDisplay]: picture };
  }

  [jupyterDisplay](): Promise<MimeBundle> {
    return this.widget[jupyterDisplay]();
  }
}

/**
 * A playground for an image sampler, shown as a cell's last expression: somebody at the page changes prompt, guidance, steps
 * or seed, and sees the image at each step. In a saved notebook it is a grid of the last drawing.
 */
export function samplerPlayground(drawSteps: DrawSteps, options: PlaygroundOptions = {}): SamplerPlayground {
  return new SamplerPlayground(drawSteps, options);
}
