import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AdamW, Rng, startEngine, tf, tokenEntropies } from '../../src/engine';
import { replayWidth, type Transition, type UnifiedModel } from '../../src/models/unified';
import { trainStep } from '../../src/rl';
import { backbones } from '../recipes/tiny-task';

before(() => startEngine({ precision: 'float32', quiet: true }));

/** More ids than any of the tiny models has. */
const MANY = 700;

const rowsOf = (compute: () => tf.Tensor2D): number[][] => {
  const tensor = tf.tidy(compute);
  const rows = tensor.arraySync();
  tensor.dispose();
  return rows;
};

/** Entropy at the last decision, from the log-probs of every id that could stand there instead. */
function enumerated(model: UnifiedModel, transition: Transition): { entropy: number; total: number } {
  const last = transition.actionMask.lastIndexOf(1);
  let [entropy, total] = [0, 0];
  for (let id = 0; id < MANY && total < 0.9999; id++) {
    const sampledIds = Int32Array.from(transition.sampledIds);
    sampledIds[last] = id;
    try {
      const logProb = rowsOf(() => model.replay([{ ...transition, sampledIds }]))[0][last];
      total += Math.exp(logProb);
      entropy -= Math.exp(logProb) * Math.max(-1e4, logProb);
    } catch {
      continue; // no id of this kind of segment; the sum tells whether one is missing
    }
  }
  return { entropy, total };
}

describe('entropies', () => {
  it('of a worked example: ln 2 for a coin, 0 for what is certain, ln 4 for four equal ones', () => {
    const logits = tf.tensor2d([0, 0, -1e9, -1e9, 50, -1e9, -1e9, -1e9, 3, 3, 3, 3], [3, 4]);
    const [coin, certain, four] = tf.tidy(() => tokenEntropies(logits)).dataSync();
    for (const [got, expected] of [
      [coin, Math.LN2],
      [certain, 0],
      [four, 2 * Math.LN2],
    ])
      assert.ok(Math.abs(got - expected) < 1e-6, `${got}, expected ${expected}`);
    logits.dispose();
  });

  for (const backbone of ['showo', 'janus', 'chameleon'] as const)
    describe(backbone, () => {
      let model: UnifiedModel;
      let sampled: Transition[][];
      before(async () => {
        model = await backbones[backbone]();
        const rng = new Rng(5);
        const asked = [0, 1].map((i) => ({ prompt: model.prompt(['w20 w24'], 'understand'), rng: rng.split(i) }));
        const texts = model.sampleText(asked, { maxNewTokens: 3, temperature: 1.5 });
        const drawn = [2, 3].map((i) => ({ prompt: model.prompt(['w20 w24'], 'generate'), rng: rng.split(i) }));
        const options = { guidanceScale: 2, ...(backbone === 'showo' ? { steps: 2 } : {}) };
        const images = model.imageSampler(drawn, options).finish();
        sampled = [texts, images].map((segments) => segments.flatMap(({ transitions }) => transitions));
      });
      after(() => model.dispose());

      it('are those of the distribution that the ids were drawn from, guidance and temperature included', () => {
        for (const transitions of sampled) {
          const rows = rowsOf(() => model.entropies?.(transitions) ?? tf.zeros([0, 0]));
          const longest = Math.max(...transitions.map(({ sampledIds }) => sampledIds.length));
          assert.equal(rows.length, transitions.length);
          assert.ok(rows[0].length >= longest && rows[0].length <= replayWidth(transitions));
          transitions.forEach(({ actionMask }, t) =>
            rows[t].forEach((value, i) =>
              assert.ok(actionMask[i] === 1 ? value > 0 : value === 0, `${t}, ${i}: ${value}`),
            ),
          );
          const [first] = transitions;
          const { entropy, total } = enumerated(model, first);
          assert.ok(Math.abs(total - 1) < 1e-3, `all ids together have probability ${total}`);
          const got = rows[0][first.actionMask.lastIndexOf(1)];
          assert.ok(Math.abs(got - entropy) < 1e-3 * entropy, `${got}, enumerated ${entropy}`);
        }
      });

      it('choose the tokens that learn, and are logged', async () => {
        const text = sampled[0];
        const trajectories = text.map((transition) => ({
          segments: [{ name: 'understanding', text: '', finished: true, transitions: [transition] } as const],
        }));
        const optimizer = new AdamW({ learningRate: 1e-3 });
        const more = { learningRate: 1e-3, topEntropyQuantile: 0.5, logEntropy: true };
        const values = rowsOf(() => model.entropies?.(text) ?? tf.zeros([0, 0])).flat();
        const tensors = tf.memory().numTensors;
        const metrics = await trainStep(model, undefined, trajectories, [1, -1], optimizer, more);
        const tokens = text.flatMap(({ actionMask }) => [...actionMask]).filter((m) => m === 1).length;
        const mean = values.reduce((sum, value) => sum + value, 0) / tokens;
        assert.ok(Math.abs(metrics.entropy - mean) < 1e-4 * mean, `${metrics.entropy}, expected ${mean}`);
        assert.ok(metrics.grad_norm > 0);
        optimizer.dispose();
        assert.ok(tf.memory().numTensors <= tensors);
      });
    });
});
