/** Means of weights: two ends of one training are often better together than either ("model soups", Wortsman et al. 2022). */
import { ShowoLayers } from '../../models/showo/layers';
import { ShowoModel } from '../../models/showo/model';
import { type ParameterValues, ParamStore } from '../../nn/store';

/**
 * A model with the mean of a model's weights and of those given, around the same image tokenizer.
 * @param earlier weights by upstream name, as `ParamStore.values` gives them
 * @throws CheckpointMismatchError when they are not this architecture's
 */
export async function meanWith(
  model: ShowoModel,
  earlier: Readonly<Record<string, ParameterValues>>,
): Promise<ShowoModel> {
  const now = await model.store.values();
  const tensors = Object.fromEntries(
    Object.entries(earlier).map(([name, { shape, data }]) => {
      const other = now[name]?.data;
      const mean = other && other.length === data.length ? data.map((value, i) => (value + other[i]) / 2) : data;
      return [name, { dtype: 'F32' as const, shape, data: mean }];
    }),
  );
  const layers = new ShowoLayers(model.config);
  const store = ParamStore.fromTensors(layers, tensors, 'the mean of two models');
  return ShowoModel.of(layers, store, model.magvit, model.tokenizer);
}
