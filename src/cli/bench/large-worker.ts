/** Loading and decoding in a process of its own, so that its memory is that of this work alone. */
import { readFileSync } from 'node:fs';
import { type Precision, readValues, startEngine, tf } from '../../engine';
import { openSafetensors } from '../../io';
import { Decoder } from '../../models/janus/decoder';
import { JanusModel } from '../../models/janus/model';
import { Parameters } from '../../nn/parameters';
import { likeliest } from '../../nn/token-sampling';
import { largeModel } from './large-models';
import { type Answer, serveLines } from './line-worker';

/** Serves `load` and `decode` until stdin ends. */
export async function serveLargeModel(precision: Precision): Promise<void> {
  const report = await startEngine({ precision, quiet: true });
  let model: JanusModel | undefined;
  await serveLines(async (command): Promise<Answer> => {
    if (command.do === 'load') {
      const { config, specs } = largeModel(String(command.model));
      const before = residentBytes().now;
      const start = performance.now();
      const reader = await openSafetensors(String(command.folder));
      const parameters = await Parameters.read(specs, reader, String(command.folder));
      await reader.close();
      const seconds = (performance.now() - start) / 1000;
      model = new JanusModel(config, parameters);
      const { now, peak } = residentBytes();
      return { ...report, seconds, before, after: now, peak, held: 4 * parameters.count() };
    }
    if (command.do === 'decode') {
      if (!model) throw new Error('nothing is loaded');
      const timing = decode(model, Number(command.context), Number(command.tokens));
      return { ...timing, resident: residentBytes().now };
    }
    throw new Error(`there is no work '${String(command.do)}'`);
  });
}

/** Seconds by the clock, and by what the processors did: on a machine that is shared, only the latter are its own. */
interface Spent {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Reads `context` tokens, then says `tokens` more, greedily. @returns what the prompt and each token cost */
function decode(model: JanusModel, context: number, tokens: number): { prompt: Spent; each: Spent[]; ids: number[] } {
  const vocab = model.config.text.vocab_size;
  const decoder = new Decoder(model);
  const said: number[] = [];
  const each: Spent[] = [];
  // What a token costs ends when it can be said: its logits are read.
  const spend = (compute: () => tf.Tensor2D): Spent => {
    const cpu = process.cpuUsage();
    const start = performance.now();
    const hidden = tf.tidy(compute);
    const logits = readValues(() => model.textLogits(hidden));
    hidden.dispose();
    said.push(likeliest(logits, 0, vocab));
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
  try {
    const prompt = spend(() => decoder.start([Array.from({ length: context }, (_, i) => (i * 7919 + 11) % vocab)]));
    for (let i = 0; i < tokens; i++) each.push(spend(() => decoder.next(model.embed([[said[said.length - 1]]]))));
    return { prompt, each, ids: said };
  } finally {
    decoder.dispose();
  }
}

/** Resident memory of this process, bytes; where the system does not say its peak since start, Node's own count. */
function residentBytes(): { now: number; peak: number } {
  const now = process.memoryUsage.rss();
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (line) return { now, peak: Number(line[1]) * 1024 };
  } catch {
    // not Linux
  }
  return { now, peak: process.resourceUsage().maxRSS * 1024 };
}
