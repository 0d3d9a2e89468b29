/** ERNIE: BERT's numbers, with types of tasks. */
import { ErnieModel } from '../../../src/models/scorers/ernie';
import { parity as bertParity } from './bert';
import type { ParityHandler } from './check';

export const parity: ParityHandler = (folder, description) =>
  bertParity(folder, description, (each) => ErnieModel.fromPretrained(each));
