/** A set of questions in words, graded by a judge over the network, on a fake model. */
import path from 'node:path';
import { ChatEndpoint } from '../../src/data/chat-endpoint';
import { vlmEvalKitBenchmark } from '../../src/data/vlmevalkit';
import { Rng } from '../../src/engine';
import { suites } from '../../src/eval';
import { fakeModel } from './fake-model';

export interface WordsSuite {
  readonly out: string;
  readonly table: string;
  readonly baseUrl: string;
  readonly resume: boolean;
  readonly asked?: { texts: number; images: number };
}

export async function wordsSuite({
  out,
  table,
  baseUrl,
  resume,
  asked,
}: WordsSuite): Promise<suites.BenchmarkResult[]> {
  const judge = new ChatEndpoint({ baseUrl, model: 'judge', cacheFolder: path.join(out, 'judge'), concurrency: 2 });
  const benchmark = vlmEvalKitBenchmark('mmvet', table, { rule: 'graded', judge });
  const model = fakeModel(asked);
  const models = {
    bySubject: false,
    check: () => undefined,
    modelOf: () => Promise.resolve(model),
    dispose: () => undefined,
  };
  return suites.runBenchmarks(out, [benchmark], models, {
    identity: { suite: 'words' },
    resume,
    protocol: {},
    rng: new Rng(1),
    batchSize: 3,
  });
}
