import './token';
import './sequence';
import './sequence-sum';

export { type LogRatio, ratios } from './registry';
