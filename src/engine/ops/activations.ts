/** GELU in both forms and SiLU, each one operation with one gradient. */
import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom';
import { hasOwnKernel, hasOwnKernels, kernel, kernels, onTensorflow, type } from './kernel';

// gelu(x) ~ x * sigmoid(2u), u = sqrt(2 / pi) * (x + 0.044715 x^3): the tanh form, as tanh(u) = 2 sigmoid(2u) - 1
const linearTerm = 2 * Math.sqrt(2 / Math.PI);
const cubicTerm = linearTerm * 0.044715;

/** `g * s * (1 - s)`: the gradient of a sigmoid whose value is `s`. */
function sigmoidGradient(s: tf.Tensor, g: tf.Tensor): tf.Tensor {
  if (onTensorflow()) return kernel('SigmoidGrad', [type('T')], [s, g]);
  return tf.mul(g, tf.sub(s, tf.square(s)));
}

/** One of our own kernels of one input, whose gradient is the kernel `NAMEGrad`. */
function own(name: string, x: tf.Tensor): tf.Tensor {
  return withGradient([x], (save) => {
    save([x]);
    return { value: kernel(name, [], [x]), gradient: (dy, [xs]) => kernel(`${name}Grad`, [], [xs, dy]) };
  });
}

/** GELU, tanh form (Hendrycks and Gimpel 2016; PyTorch's `approximate='tanh'`), of every value. */
export function geluTanh(x: tf.Tensor): tf.Tensor {
  if (hasOwnKernels()) return own('UnilabGelu', x);
  return withGradient([x], (save) => {
    const s = tf.sigmoid(tf.mul(x, tf.add(tf.mul(tf.square(x), cubicTerm), linearTerm)));
    save([x, s]);
    return {
      value: tf.mul(x, s),
      gradient: (dy, [xs, ss]) => {
        const slope = tf.mul(xs, tf.add(tf.mul(tf.square(xs), 3 * cubicTerm), linearTerm));
        return tf.mul(dy, tf.add(ss, sigmoidGradient(ss, slope)));
      },
    };
  });
}

/** {@link geluTanh} in plain tf.js operations. */
export function geluTanhPlain(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const u = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.mul(x, tf.square(x)))));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(u), 1));
  });
}

/** GELU, exact form: `x * Phi(x)` with the normal distribution function, of every value. */
export function geluErf(x: tf.Tensor): tf.Tensor {
  return withGradient([x], (save) => {
    const phi = tf.add(tf.mul(tf.erf(tf.mul(x, Math.SQRT1_2)), 0.5), 0.5);
    save([x, phi]);
    return {
      value: tf.mul(x, phi),
      gradient: (dy, [xs, phis]) => {
        const density = tf.mul(tf.exp(tf.mul(tf.square(xs), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return tf.mul(dy, tf.add(phis, tf.mul(xs, density)));
      },
    };
  });
}

/** {@link geluErf} in plain tf.js operations. */
export function geluErfPlain(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.div(x, Math.SQRT2)), 1)));
}

/** SiLU (swish): `x * sigmoid(x)`, of every value. */
export function silu(x: tf.Tensor): tf.Tensor {
  if (hasOwnKernels()) return own('UnilabSilu', x);
  return withGradient([x], (save) => {
    const s = tf.sigmoid(x);
    save([x, s]);
    return {
      value: tf.mul(x, s),
      gradient: (dy, [xs, ss]) => tf.mul(dy, tf.add(ss, sigmoidGradient(ss, xs))),
    };
  });
}

/** {@link silu} in plain tf.js operations. */
export function siluPlain(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.mul(x, tf.sigmoid(x)));
}

/**
 * The gate of SwiGLU (Shazeer 2020): `silu(gate) * up`, of every value.
 * @throws RangeError when the shapes differ
 */
export function swiglu(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  if (!tf.util.arraysEqual(gate.shape, up.shape))
    throw new RangeError(`swiglu: the gate is [${gate.shape}] and what it gates [${up.shape}]; they must agree`);
  if (!hasOwnKernel('UnilabSwiglu')) return tf.mul(silu(gate), up);
  return withGradient([gate, up], (save) => {
    save([gate, up]);
    return {
      value: kernel('UnilabSwiglu', [], [gate, up]),
      gradient: (dy, saved) => kernels('UnilabSwigluGrad', [], [...saved, dy], 2),
    };
  });
}

/** {@link swiglu} in plain tf.js operations. */
export function swigluPlain(gate: tf.Tensor, up: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.mul(siluPlain(gate), up));
}
