// What decoders are made of beside products and attention: RMS norm, rotary positions and the gate of SwiGLU.
#include <algorithm>
#include <cmath>

#include "math.h"
#include "op.h"

namespace unilab {
namespace {

// Sums over rows are made in so many parts, which are added in order: a run repeats to the last bit.
constexpr int64_t kParts = 16;

// x [rows, dim], gamma [dim] -> x / sqrt(mean x^2 + epsilon) * gamma, and the factor of each row [rows]
void RmsNorm(Call& call) {
  const float *x = call.Floats(0), *gamma = call.Floats(1);
  const int64_t dim = call.Size(1), rows = call.Size(0) / dim;
  const float epsilon = call.attributes.epsilon;
  float* y = call.Output(0, call.ShapeOf(0));
  float* inverse = call.Output(1, {rows});
  if (!y || !inverse) return;
#pragma omp parallel for if (rows * dim > kSmall) schedule(static)
  for (int64_t r = 0; r < rows; r++) {
    const float* from = x + r * dim;
    float* to = y + r * dim;
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < dim; i++) squares += from[i] * from[i];
    const float v = 1.0f / std::sqrt(squares / dim + epsilon);
#pragma omp simd
    for (int64_t i = 0; i < dim; i++) to[i] = from[i] * v * gamma[i];
    inverse[r] = v;
  }
}

// x, gamma, the rows' factors, dy -> dx, dgamma
void RmsNormGrad(Call& call) {
  const float *x = call.Floats(0), *gamma = call.Floats(1), *inverse = call.Floats(2), *dy = call.Floats(3);
  const int64_t dim = call.Size(1), rows = call.Size(2);
  float* dx = call.Output(0, call.ShapeOf(0));
  float* dgamma = call.Output(1, {dim});
  if (!dx || !dgamma) return;
  std::vector<float> parts(kParts * dim, 0.0f);
#pragma omp parallel for if (rows * dim > kSmall) schedule(static)
  for (int64_t part = 0; part < kParts; part++) {
    float* sums = parts.data() + part * dim;
    for (int64_t r = part * rows / kParts; r < (part + 1) * rows / kParts; r++) {
      const float *from = x + r * dim, *up = dy + r * dim;
      float* to = dx + r * dim;
      const float v = inverse[r];
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < dim; i++) {
        const float hat = from[i] * v;
        dot += up[i] * gamma[i] * hat;
        sums[i] += up[i] * hat;
      }
      dot /= dim;
#pragma omp simd
      for (int64_t i = 0; i < dim; i++) to[i] = v * (up[i] * gamma[i] - from[i] * v * dot);
    }
  }
  std::fill(dgamma, dgamma + dim, 0.0f);
  for (int64_t part = 0; part < kParts; part++) {
    for (int64_t i = 0; i < dim; i++) dgamma[i] += parts[part * dim + i];
  }
}

// x [batch, heads, tokens, dim]; cos and sin [tokens, dim] or [batch, 1, tokens, dim]; swap [dim, dim], whose first
// column says how far the halves stand apart. With `back` the gradient of what is given as x.
void Turn(Call& call, bool back) {
  const float *x = call.Floats(0), *cos = call.Floats(1), *sin = call.Floats(2), *swap = call.Floats(3);
  const Shape shape = call.ShapeOf(0);
  const int64_t heads = shape[1], tokens = shape[2], dim = shape[3];
  const bool per_row = call.ShapeOf(1).size() > 2 && call.ShapeOf(1)[0] > 1;
  int64_t half = 0;
  while (half < dim && swap[half * dim] == 0.0f) half++;
  float* y = call.Output(0, shape);
  if (!y) return;
#pragma omp parallel for if (call.Size(0) > kSmall) schedule(static)
  for (int64_t r = 0; r < shape[0] * heads; r++) {
    const int64_t table = per_row ? r / heads * tokens * dim : 0;
    for (int64_t t = 0; t < tokens; t++) {
      const float *from = x + (r * tokens + t) * dim, *c = cos + table + t * dim, *s = sin + table + t * dim;
      // The gradient of a turn is the turn back; each half is multiplied by the other one's sine.
      const float *first = back ? s + half : s, *second = back ? s : s + half;
      const float sign = back ? 1.0f : -1.0f;
      float* to = y + (r * tokens + t) * dim;
#pragma omp simd
      for (int64_t i = 0; i < half; i++) {
        to[i] = from[i] * c[i] + sign * (from[i + half] * first[i]);
        to[i + half] = from[i + half] * c[i + half] - sign * (from[i] * second[i]);
      }
#pragma omp simd
      for (int64_t i = 2 * half; i < dim; i++) to[i] = from[i] * c[i];
    }
  }
}

void Rotary(Call& call) { Turn(call, false); }
void RotaryGrad(Call& call) { Turn(call, true); }

// gate, up -> silu(gate) * up
void Swiglu(Call& call) {
  const float *gate = call.Floats(0), *up = call.Floats(1);
  const int64_t size = call.Size(0);
  float* y = call.Output(0, call.ShapeOf(0));
  if (!y) return;
#pragma omp parallel for simd if (size > kSmall) schedule(static)
  for (int64_t i = 0; i < size; i++) y[i] = gate[i] * Sigmoid(gate[i]) * up[i];
}

// gate, up, dy -> their gradients
void SwigluGrad(Call& call) {
  const float *gate = call.Floats(0), *up = call.Floats(1), *dy = call.Floats(2);
  const int64_t size = call.Size(0);
  float* dgate = call.Output(0, call.ShapeOf(0));
  float* dup = call.Output(1, call.ShapeOf(0));
  if (!dgate || !dup) return;
#pragma omp parallel for simd if (size > kSmall) schedule(static)
  for (int64_t i = 0; i < size; i++) {
    const float s = Sigmoid(gate[i]), value = gate[i] * s;
    dgate[i] = dy[i] * up[i] * (s + value * (1.0f - s));
    dup[i] = dy[i] * value;
  }
}

}  // namespace

std::vector<Definition> DecoderOps() {
  const std::vector<const char*> turn = {"x: float", "cos: float", "sin: float", "swap: float"};
  return {
      {"UnilabRmsNorm",
       {"x: float", "gamma: float"},
       {"y: float", "inverse: float"},
       {"epsilon: float"},
       &Run<RmsNorm>},
      {"UnilabRmsNormGrad",
       {"x: float", "gamma: float", "inverse: float", "dy: float"},
       {"dx: float", "dgamma: float"},
       {},
       &Run<RmsNormGrad>},
      {"UnilabRotary", turn, {"y: float"}, {}, &Run<Rotary>},
      {"UnilabRotaryGrad", turn, {"dx: float"}, {}, &Run<RotaryGrad>},
      {"UnilabSwiglu", {"gate: float", "up: float"}, {"y: float"}, {}, &Run<Swiglu>},
      {"UnilabSwigluGrad",
       {"gate: float", "up: float", "dy: float"},
       {"dgate: float", "dup: float"},
       {},
       &Run<SwigluGrad>},
  };
}

}  // namespace unilab
