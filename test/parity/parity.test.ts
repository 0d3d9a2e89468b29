import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Check, checkFolder, line } from './checks';
import { startEngine, tf } from '../../src/engine';

let scratch: string;
before(async () => {
  await startEngine({ precision: 'float32', quiet: true });
  scratch = await mkdtemp(path.join(tmpdir(), 'unilab-parity-'));
});
after(() => rm(scratch, { recursive: true }));

async function run(folder: string): Promise<Check[]> {
  const checks: Check[] = [];
  for await (const check of checkFolder(folder)) checks.push(check);
  return checks;
}

/** A copy of a fixture with its case file changed. */
async function changed(name: string, change: (text: string) => string): Promise<string> {
  const copy = path.join(scratch, `${name}-${Math.abs(change.toString().length)}`);
  await cp(path.join(__dirname, name), copy, { recursive: true });
  const file = path.join(copy, 'case.json');
  const text = await readFile(file, 'utf8');
  assert.ok(change(text) !== text);
  await writeFile(file, change(text));
  return copy;
}

describe('reference numbers', () => {
  for (const [name, least] of Object.entries({
    safetensors: 53,
    grpo: 140,
    grpo_loop: 1280,
    dreamsim: 66,
    corl_rewards: 401,
    dsog: 190,
    detr: 8,
    dino_patch: 26,
    face_align: 134,
    merge: 20,
    benchmarks: 211,
    bert: 8,
    ernie: 8,
    bleu: 12,
    blip_caption: 8,
    blip_itm: 8,
    blip2_itm: 8,
    lpips: 18,
    chameleon: 25,
    chameleon_mp: 25,
    janus: 31,
    janus_tied: 31,
    magvitv2: 9,
    preprocess: 41,
    clip: 18,
    clip_bpe: 800,
    tim: 133,
    vit: 11,
    dinov2: 14,
    showo: 29,
    showo_maskgit: 72,
  })) {
    it(`agree: ${name}`, async () => {
      const start = tf.memory().numTensors;
      const checks = await run(path.join(__dirname, name));
      const failed = checks.filter((check) => !check.ok);
      assert.deepEqual(failed.map(line), []);
      assert.ok(checks.length >= least, `${checks.length} checks`);
      assert.equal(tf.memory().numTensors, start);
    });
  }
});

describe('the parity command', () => {
  it('fails when a number is wrong, missing or of the wrong kind', async () => {
    const wrongLoss = await run(
      await changed('grpo', (text) => text.replace(/"loss": ?0.07203034995607889/, '"loss": 0.0721')),
    );
    assert.deepEqual(
      wrongLoss.filter((c) => !c.ok).map((c) => c.name.split(' ').slice(1).join(' ') + c.quantity),
      ['grpoloss'],
    );
    const shorter = await run(await changed('dsog', (text) => text.replace(/"T": \[[^\],]*,/, '"T": [')));
    assert.equal(shorter.filter((c) => !c.ok).length, 1);
    assert.match(
      line(shorter.find((c) => !c.ok) as Check),
      /max error Infinity .*FAILED \(got 60 numbers, expected 59\)/,
    );
    const code = await run(await changed('safetensors', (text) => text.replace('"offsets_gap"', '"offsets_hole"')));
    assert.match(line(code.find((c) => !c.ok) as Check), /15_gap.*FAILED \(reported offsets_gap\)/);
    const kind = await run(await changed('bleu', (text) => text.replace(/"kind": ?"bleu"/, '"kind": "blue"')));
    assert.match(
      kind.map(line).join(),
      /FAILED \(nothing checks fixtures of this kind; there are benchmarks, bert, bleu, /,
    );
  });

  it('reports folders that are not there, empty or broken instead of passing', async () => {
    assert.match((await run(path.join(scratch, 'nowhere'))).map(line).join(), /FAILED \(there is no such folder/);
    assert.match((await run(path.join(__dirname, 'safetensors/bad'))).map(line).join(), /holds no case.json/);
    const torn = await changed('merge', (text) => text.slice(0, 100));
    assert.match((await run(torn)).map(line).join(), /runs through.*FAILED/);
  });

  it('goes through folders of folders and finds the kind by the README', async () => {
    const folder = path.join(scratch, 'many');
    await cp(path.join(__dirname, 'bleu'), path.join(folder, 'a'), { recursive: true });
    await cp(path.join(__dirname, 'merge'), path.join(folder, 'deep', 'b'), { recursive: true });
    const file = path.join(folder, 'a', 'case.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace(/"kind": ?"bleu",/, ''));
    const checks = await run(folder);
    assert.ok(
      checks.every((check) => check.ok),
      checks.map(line).join('\n'),
    );
    assert.equal(checks.length, 34);
  });
});
