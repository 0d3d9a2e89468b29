import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { advantages, groupAdvantages, rewardMetrics } from '../../src/rl';

const reward = fc.double({ min: -100, max: 100, noNaN: true });
const groups = fc.array(fc.array(reward, { minLength: 2, maxLength: 9 }), { minLength: 1, maxLength: 5 });

describe('advantages', () => {
  it('sum to zero in every group and keep the order of rewards', () => {
    fc.assert(
      fc.property(groups, fc.constantFrom('grpo', 'dr_grpo', 'rloo'), (rewards, name) => {
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
      fc.property(groups, fc.constantFrom('grpo', 'dr_grpo', 'rloo'), fc.nat(), (rewards, name, where) => {
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
    const rewards = [[NaN, NaN], [0.5, 0.5], [NaN, 3], [1, 2]]; // prettier-ignore
    for (const name of advantages.names()) {
      const got = groupAdvantages(name, rewards);
      assert.deepEqual(got.advantages.slice(0, 6), [0, 0, 0, 0, 0, 0]);
      assert.ok(got.advantages[7] > 0);
      assert.equal(got.fracZeroStd, 0.75);
      assert.equal(got.nanRewards, 3);
    }
    assert.deepEqual(groupAdvantages('grpo', [[NaN, NaN]]).advantages, [0, 0]);
  });

  it('refuse what they cannot use, by name', () => {
    assert.throws(() => groupAdvantages('grop', [[1, 2]]), /no advantage named 'grop'; there are grpo, dr_grpo, rloo/);
    assert.throws(() => groupAdvantages('grpo', [[1, Infinity]]), /reward 1 of group 0 is Infinity/);
    assert.throws(() => groupAdvantages('grpo', []), /no groups/);
    assert.throws(() => advantages.register('grpo', () => []), /already registered: advantage 'grpo'/);
  });
});

describe('reward metrics', () => {
  it('count failures and leave them out of means', () => {
    const got = rewardMetrics([[1, 3], [2, NaN]], { ber: [1, 3, 2, NaN] }); // prettier-ignore
    assert.equal(got['reward/mean'], 2);
    assert.equal(got['rewards/ber/failed'], 1);
    assert.equal(got['rewards/ber/std'], 1);
    assert.equal(got.frac_reward_zero_std, 0.5);
  });
});
