import './k1';
import './k2';
import './k3';

export { type KlEstimate, type KlOptions, klEstimates } from './registry';
