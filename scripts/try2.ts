import * as unilab from '../src';
import { miniSyncGrpo } from '../src/miniworld/sync-grpo';
async function main() {
  for (const [lr, steps] of [[1e-2, 60], [3e-3, 60], [3e-3, 150], [1e-3, 150]]) {
    const run = await miniSyncGrpo('mira', { set: [`subject.steps=${steps}`, `subject.learningRate=${lr}`] });
    const losses: Record<string, number[]> = {};
    for await (const r of run.learnSubject()) (losses[r.stage] ??= []).push(r.loss);
    const qs = run.task.subject.references.flatMap(({ image, questions }) => questions.map((q) => ({ image, ...q })));
    const requests = qs.map((q, i) => ({ prompt: run.model.prompt([q.image, q.question], 'understand'), rng: new unilab.Rng(i) }));
    const answers = run.model.sampleText(requests, { maxNewTokens: 8, temperature: 0 });
    const right = answers.filter((a, i) => a.text === qs[i].answer).length;
    const ev = await run.evaluate(32);
    console.log(lr, steps, `VIA ${right}/${qs.length}`, answers.slice(0, 8).map((a, i) => `${a.text}|${qs[i].answer}`), Object.values(losses).map((l) => l.slice(-5).map((x) => x.toFixed(2)).join(' ')), JSON.stringify(ev.metrics));
    await run.close();
  }
}
main().catch((e) => { console.error(e); process.exit(1); });
