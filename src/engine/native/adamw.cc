// A step of AdamW in one pass over a variable.
#include <cmath>

#include "math.h"
#include "op.h"

namespace unilab {
namespace {

// w, its gradient, both moments (changed in place) and the step's numbers (what of w is kept, the step's size, 1 - beta1,
// 1 - beta2, epsilon) -> the next w
void AdamW(Call& call) {
  const float *w = call.Floats(0), *g = call.Floats(1), *numbers = call.Floats(4);
  float *m = call.Written(2), *v = call.Written(3);
  const int64_t size = call.Size(0);
  for (int input = 1; input < 4; input++) {
    if (call.Size(input) != size) return call.Fail("a variable, its gradient and its moments have as many numbers");
  }
  if (call.Size(4) != 5) return call.Fail("a step has 5 numbers, not " + std::to_string(call.Size(4)));
  float* next = call.Output(0, call.ShapeOf(0));
  if (!next) return;
  const float keep = numbers[0], step = numbers[1], first = numbers[2], second = numbers[3], epsilon = numbers[4];
#pragma omp parallel for simd if (size > kSmall) schedule(static)
  for (int64_t i = 0; i < size; i++) {
    m[i] += (g[i] - m[i]) * first;
    v[i] += (g[i] * g[i] - v[i]) * second;
    next[i] = w[i] * keep - m[i] * step / (std::sqrt(v[i]) + epsilon);
  }
}

}  // namespace

std::vector<Definition> OptimizerOps() {
  return {
      {"UnilabAdamW",
       {"w: float", "grad: float", "m: float", "v: float", "numbers: float"},
       {"next: float"},
       {},
       &Run<AdamW>,
       true},
  };
}

}  // namespace unilab
