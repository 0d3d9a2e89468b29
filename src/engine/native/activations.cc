// GELU (tanh form) and SiLU, value and gradient in one pass each.
#include "math.h"
#include "op.h"

namespace unilab {
namespace {

// gelu(x) ~ x * sigmoid(2u) with 2u = kLinear x + kCubic x^3.
constexpr float kLinear = 1.5957691216057308f;
constexpr float kCubic = kLinear * 0.044715f;

void Gelu(Call& call) {
  const float* x = call.Floats(0);
  const int64_t size = call.Size(0);
  float* y = call.Output(0, call.ShapeOf(0));
  if (!y) return;
#pragma omp parallel for simd if (size > kSmall) schedule(static)
  for (int64_t i = 0; i < size; i++) y[i] = x[i] * Sigmoid(x[i] * (kLinear + kCubic * x[i] * x[i]));
}

void GeluGrad(Call& call) {
  const float* x = call.Floats(0);
  const float* dy = call.Floats(1);
  const int64_t size = call.Size(0);
  float* dx = call.Output(0, call.ShapeOf(0));
  if (!dx) return;
#pragma omp parallel for simd if (size > kSmall) schedule(static)
  for (int64_t i = 0; i < size; i++) {
    const float square = x[i] * x[i];
    const float s = Sigmoid(x[i] * (kLinear + kCubic * square));
    dx[i] = dy[i] * (s + x[i] * s * (1.0f - s) * (kLinear + 3.0f * kCubic * square));
  }
}

void Silu(Call& call) {
  const float* x = call.Floats(0);
  const int64_t size = call.Size(0);
  float* y = call.Output(0, call.ShapeOf(0));
  if (!y) return;
#pragma omp parallel for simd if (size > kSmall) schedule(static)
  for (int64_t i = 0; i < size; i++) y[i] = x[i] * Sigmoid(x[i]);
}

void SiluGrad(Call& call) {
  const float* x = call.Floats(0);
  const float* dy = call.Floats(1);
  const int64_t size = call.Size(0);
  float* dx = call.Output(0, call.ShapeOf(0));
  if (!dx) return;
#pragma omp parallel for simd if (size > kSmall) schedule(static)
  for (int64_t i = 0; i < size; i++) {
    const float s = Sigmoid(x[i]);
    dx[i] = dy[i] * (s + x[i] * s * (1.0f - s));
  }
}

}  // namespace

std::vector<Definition> ActivationOps() {
  return {
      {"UnilabGelu", {"x: float"}, {"y: float"}, {}, &Run<Gelu>},
      {"UnilabGeluGrad", {"x: float", "dy: float"}, {"dx: float"}, {}, &Run<GeluGrad>},
      {"UnilabSilu", {"x: float"}, {"y: float"}, {}, &Run<Silu>},
      {"UnilabSiluGrad", {"x: float", "dy: float"}, {"dx: float"}, {}, &Run<SiluGrad>},
  };
}

}  // namespace unilab
