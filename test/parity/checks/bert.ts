/** BERT and ERNIE: hidden states, pooler, sentence embeddings and their cosines. */
import { readValues, tf } from '../../../src/engine';
import { BertModel, type BertRows } from '../../../src/models/scorers/bert';
import type { Check } from './check';
import { compare, compareShown, intRows, readFixture, tokenRows } from './expert-fixture';

const TOLERANCE = 1e-4;

export async function* parity(
  folder: string,
  _description: unknown,
  load: (folder: string) => Promise<BertModel> = (each) => BertModel.fromPretrained(each),
): AsyncGenerator<Check, void, undefined> {
  const { inputs, expected } = await readFixture(folder);
  const model = await load(folder);
  try {
    const plain = tokenRows(inputs);
    const rows: BertRows = {
      ...plain,
      types: inputs.token_type_ids && intRows(inputs.token_type_ids),
      // Upstream does not look at them without a table of tasks.
      tasks: model.config.task_types > 0 && inputs.task_type_ids ? intRows(inputs.task_type_ids) : undefined,
    };
    const output = model.forward(rows);
    const standard = model.forward(plain);
    const shown = (group: string, name: string, tensor: tf.Tensor) =>
      compareShown(expected, group, name, tensor.dataSync(), TOLERANCE, rows.mask);
    yield shown('forward', 'embeddings', output.hiddenStates[0]);
    yield shown('forward', 'last_hidden_state', output.lastHiddenState);
    yield shown('forward', 'last_hidden_state_default_types', standard.lastHiddenState);
    yield compare(expected, 'forward', 'pooler_output', output.poolerOutput?.dataSync() ?? [], TOLERANCE);
    tf.dispose([output, standard] as unknown as tf.TensorContainer);

    const mean = readValues(() => model.pooled(rows));
    yield compare(expected, 'sentences', 'mean_pooled', mean, TOLERANCE);
    const vectors = model.sentences(rows);
    const embeddings = vectors.flatMap((v) => [...v]);
    yield compare(expected, 'sentences', 'sentence_embedding', embeddings, TOLERANCE);
    yield compare(expected, 'sentences', 'cosine', cosines(vectors), TOLERANCE);
    yield compare(expected, 'sentences', 'cosine_cls', cosines(model.sentences(rows, 'cls')), TOLERANCE);
  } finally {
    model.dispose();
  }
}

/** Every unit vector with every other, row by row. */
function cosines(vectors: readonly Float32Array[]): number[] {
  return vectors.flatMap((a) => vectors.map((b) => a.reduce((sum, value, i) => sum + value * b[i], 0)));
}
