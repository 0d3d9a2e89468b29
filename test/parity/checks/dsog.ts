/** The DSOG threshold: whole sequences of pass rates and single steps, in double precision. */
import { type ThresholdOptions, type ThresholdState, type ThresholdVersion, nextThreshold } from '../../../src/rl';
import { type Check, close, same } from './check';

interface Description {
  parameters: { TPR: number; mu: number; eta: number; eps0: number };
  sequences: Record<string, number[]>;
  cases: {
    sequence: string;
    T0: number;
    tau0?: number;
    version: ThresholdVersion;
    T: number[];
    tau: number[];
    exponent: number[];
    against_trend: boolean[];
  }[];
  single_steps: {
    T0: number;
    tau0: number;
    version: ThresholdVersion;
    pr: number;
    exponent: number;
    T: number;
    tau: number;
    against_trend: boolean;
  }[];
}

const tolerance = 1e-9;

export async function* parity(
  _folder: string,
  description: Record<string, unknown>,
): AsyncGenerator<Check, void, undefined> {
  const d = description as unknown as Description;
  const { TPR, mu, eta, eps0 } = d.parameters;
  const options = (version: ThresholdVersion): ThresholdOptions => ({ targetPassRate: TPR, mu, eta, eps0, version });
  for (const one of d.cases) {
    let state: ThresholdState = { threshold: one.T0, trend: one.tau0 ?? 0 };
    const steps = d.sequences[one.sequence].map((passRate) => {
      const step = nextThreshold(state, passRate, options(one.version));
      state = { threshold: step.threshold, trend: step.trend };
      return step;
    });
    const name = `${one.sequence} from ${one.T0} ${one.version}`;
    yield close(
      name,
      'threshold',
      steps.map((s) => s.threshold),
      one.T,
      tolerance,
    );
    yield close(
      name,
      'trend',
      steps.map((s) => s.trend),
      one.tau,
      tolerance,
    );
    yield close(
      name,
      'exponent',
      steps.map((s) => s.exponent),
      one.exponent,
      tolerance,
    );
    yield same(
      name,
      'against the trend',
      steps.map((s) => s.againstTrend),
      one.against_trend,
    );
  }
  const versions = [...new Set(d.single_steps.map((s) => s.version))];
  for (const version of versions) {
    const expected = d.single_steps.filter((s) => s.version === version);
    const got = expected.map((s) => nextThreshold({ threshold: s.T0, trend: s.tau0 }, s.pr, options(version)));
    const name = `${expected.length} single steps ${version}`;
    yield close(
      name,
      'threshold',
      got.map((s) => s.threshold),
      expected.map((s) => s.T),
      tolerance,
    );
    yield close(
      name,
      'trend',
      got.map((s) => s.trend),
      expected.map((s) => s.tau),
      tolerance,
    );
    yield close(
      name,
      'exponent',
      got.map((s) => s.exponent),
      expected.map((s) => s.exponent),
      tolerance,
    );
    yield same(
      name,
      'against the trend',
      got.map((s) => s.againstTrend),
      expected.map((s) => s.against_trend),
    );
  }
}
