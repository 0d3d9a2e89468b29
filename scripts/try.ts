import * as unilab from '../src';
import { miniSyncGrpo } from '../src/miniworld/sync-grpo';
async function main() {
  const run = await miniSyncGrpo('mira', { set: ['steps=3', 'groupSize=4', 'dsog.batch=8', 'subject.steps=60'], out: process.argv[2], resume: process.argv[3] === 'resume' });
  console.log(Object.keys(run.model.variables()).slice(-4));
  let t = Date.now();
  for await (const r of run.learnSubject()) if (r.step % 20 === 0) console.log(r.stage, r.step, r.loss.toFixed(3));
  console.log('learn', (Date.now() - t) / 1000); t = Date.now();
  const before = await run.evaluate(32);
  console.log('eval', (Date.now() - t) / 1000, before.metrics);
  for await (const s of run.steps()) console.log(s.step, s.example.pathway, s.example.question.at(-1), s.samples[0].compoundPrompt, JSON.stringify(s.metrics), s.timings, unilab.tf.memory().numTensors);
  const after = await run.evaluate(32);
  console.log(JSON.stringify(run.result(before, after)));
  await run.close();
}
main().catch((e) => { console.error(e); process.exit(1); });
