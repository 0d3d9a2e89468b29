import './clip';
import './cispo';
import './none';

export { type Surrogate, type SurrogateOptions, surrogates } from './registry';
