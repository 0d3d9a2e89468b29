import './seq-mean';
import './token-mean';
import './seq-sum';
import './constant';
import './segment-mean';
import './sequences';

export { type Aggregation, type AggregationContext, aggregations } from './registry';
