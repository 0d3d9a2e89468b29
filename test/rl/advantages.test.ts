import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { groupAdvantages, rewardMetrics } from '../../src/rl';

const reward = fc.double({ min: -100, max: 100, noNaN: true });
const kinds = ['grpo', 'dr_grpo', 'rloo'] as const;
const groups = fc.array(fc.array(reward, { minLength: 2, maxLength: 9 }), { minLength: 1, maxLength: 5 });

describe('advantages', () => {
  it('of rewards 1, 2, 6 (mean 3, std 2.6458) and of 5, 5 (no spread)', () => {
    const rewards = [
      [1, 2, 6],
      [5, 5],
    ];
    const round = (kind: (typeof kinds)[number]) =>
      groupAdvantages(kind, rewards).advantages.map((a) => Math.round(a * 1e4) / 1e4);
    assert.deepEqual(round('dr_grpo'), [-2, -1, 3, 0, 0]);
    assert.deepEqual(round('grpo'), [-0.7559, -0.378, 1.1339, 0, 0]);
    assert.deepEqual(round('rloo'), [-3, -1.5, 4.5, 0, 0]);
  });

  it('of null, undefined, huge and equal rewards', () => {
    assert.deepEqual(groupAdvantages('dr_grpo', [[null, 1, undefined, 3]]), {
      advantages: [0, -1, 0, 1],
      fracZeroStd: 0,
      nanRewards: 2,
    });
    for (const r of [1e30, 1e16 / 3]) {
      const { advantages, fracZeroStd } = groupAdvantages('grpo', [[r, r, r]]);
      assert.deepEqual([...advantages, fracZeroStd], [0, 0, 0, 1]);
    }
    const small = groupAdvantages('grpo', [[1e4, 1e4, 0]]).advantages;
    for (const r of [1.7e308, 1e200]) {
      groupAdvantages('grpo', [[r, r, 0]]).advantages.forEach((a, i) => assert.ok(Math.abs(a - small[i]) < 1e-6));
    }
  });

  it('sum to zero in every group and keep the order of rewards', () => {
    fc.assert(
      fc.property(groups, fc.constantFrom(...kinds), (rewards, name) => {
        const flat = groupAdvantages(name, rewards).advantages;
        let at = 0;
        for (const group of rewards) {
          const own = flat.slice(at, (at += group.length));
          assert.ok(Math.abs(own.reduce((a, b) => a + b, 0)) < 1e-6);
          for (let i = 1; i < own.length; i++) if (group[i] > group[0]) assert.ok(own[i] >= own[0]);
        }
      }),
    );
  });

  it('leave a NaN reward out as if it were not there', () => {
    fc.assert(
      fc.property(groups, fc.constantFrom(...kinds), fc.nat(), (rewards, name, where) => {
        const without = groupAdvantages(name, rewards).advantages;
        const at = where % (rewards[0].length + 1);
        const group = [...rewards[0].slice(0, at), NaN, ...rewards[0].slice(at)];
        const got = groupAdvantages(name, [group, ...rewards.slice(1)]);
        assert.equal(got.nanRewards, 1);
        assert.equal(got.advantages[at], 0);
        assert.deepEqual(
          got.advantages.filter((_, i) => i !== at),
          without,
        );
      }),
    );
  });

  it('are 0 for groups that teach nothing, and say how many those are', () => {
    const rewards = [
      [NaN, NaN],
      [0.5, 0.5],
      [NaN, 3],
      [1, 2],
    ];
    for (const name of kinds) {
      const got = groupAdvantages(name, rewards);
      assert.deepEqual(got.advantages.slice(0, 6), [0, 0, 0, 0, 0, 0]);
      assert.ok(got.advantages[7] > 0);
      assert.equal(got.fracZeroStd, 0.75);
      assert.equal(got.nanRewards, 3);
    }
    assert.deepEqual(groupAdvantages('grpo', [[NaN, NaN]]).advantages, [0, 0]);
  });

  it('refuse what they cannot use, by name', () => {
    assert.throws(
      () => groupAdvantages('grop' as 'grpo', [[1, 2]]),
      /no advantages 'grop'; there are grpo, dr_grpo, rloo/,
    );
    assert.throws(() => groupAdvantages('grpo', [[1, Infinity]]), /reward 1 of group 0 is Infinity/);
    assert.throws(() => groupAdvantages('grpo', []), /no groups/);
  });
});

describe('reward metrics', () => {
  it('count failures and leave them out of means', () => {
    const rewards = [1, 3, 2, NaN];
    const got = rewardMetrics([rewards.slice(0, 2), rewards.slice(2)], { ber: rewards });
    assert.equal(got.reward, 2);
    assert.equal(got['rewards/ber/failed'], 1);
    assert.equal(got['rewards/ber/std'], 1);
    assert.equal(got.frac_reward_zero_std, 0.5);
  });
});
