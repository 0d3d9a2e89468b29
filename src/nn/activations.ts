/** The activations that configurations of published checkpoints name in `hidden_act`. */
import { geluErf, geluTanh, silu, tf } from '../engine';

/** An elementwise function. */
export type Activation = (x: tf.Tensor) => tf.Tensor;

/** `x * sigmoid(1.702 x)`, the approximation of GELU that OpenAI's CLIP was trained with (Hendrycks and Gimpel 2016). */
export function quickGelu(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))));
}

const activations: Readonly<Record<string, Activation>> = {
  gelu: geluErf,
  gelu_python: geluErf,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  quick_gelu: quickGelu,
  silu,
  swish: silu,
  relu: (x) => tf.relu(x),
  relu6: (x) => tf.relu6(x),
  tanh: (x) => tf.tanh(x),
  sigmoid: (x) => tf.sigmoid(x),
  linear: (x) => tf.clone(x),
};

/** The names that {@link activation} knows. */
export const ACTIVATIONS: readonly string[] = Object.keys(activations);

/** The function of a name. @throws RangeError for a name that is not among {@link ACTIVATIONS} */
export function activation(name: string): Activation {
  if (Object.hasOwn(activations, name)) return activations[name];
  throw new RangeError(`the activation '${name}' is not known; there are ${ACTIVATIONS.join(', ')}`);
}
