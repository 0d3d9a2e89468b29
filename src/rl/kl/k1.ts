import { klEstimates } from './registry';

/** `k1`: d. Unbiased, may be negative. */
export const k1 = klEstimates.register('k1', (d) => d);
