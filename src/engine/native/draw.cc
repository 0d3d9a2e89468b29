// Draws ids from softmaxes of logits that are mixed on the way: nothing as large as they are is written.
#include <algorithm>
#include <cmath>
#include <vector>

#include "math.h"
#include "op.h"

namespace unilab {
namespace {

// Of a row, an id is drawn, or that of an id is asked for that is given.
constexpr int32_t kDrawn = -1;

// mixed = scale * with - (scale - 1) * without, or `with` alone. Returns its largest number.
float Mix(const float* with, const float* without, float scale, int64_t count, float* mixed) {
  float top = -INFINITY;
  if (without) {
    const float less = scale - 1.0f;
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < count; i++) {
      mixed[i] = with[i] * scale - without[i] * less;
      top = std::max(top, mixed[i]);
    }
  } else {
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < count; i++) {
      mixed[i] = with[i];
      top = std::max(top, mixed[i]);
    }
  }
  return top;
}

// The first id at which the running sum of `weights` passes the share `u` of it.
int64_t Draw(const float* weights, int64_t count, float sum, float u) {
  constexpr int64_t kBlock = 64;
  // A number just below 1 may have been rounded up to it; what cannot occur still has the least weight that an exponential has.
  const double share = std::min(std::max(u, 1e-20f), 0x1.fffffep-1f) * static_cast<double>(sum);
  double before = 0;
  int64_t last = 0;
  for (int64_t from = 0; from < count; from += kBlock) {
    const int64_t to = std::min(count, from + kBlock);
    float block = 0;
#pragma omp simd reduction(+ : block)
    for (int64_t i = from; i < to; i++) block += weights[i];
    if (block > 0) last = from;
    if (before + block > share) {
      double running = before;
      for (int64_t i = from; i < to; i++) {
        running += weights[i];
        if (running > share) return i;
      }
    }
    before += block;
  }
  // Rounding left the sum below the share: the last id that can occur.
  for (int64_t i = std::min(count, last + kBlock) - 1; i > last; i--)
    if (weights[i] > 0) return i;
  return last;
}

// logits [n, classes] or, with and without a condition, [2 n, classes]; given [n]: an id, -1 to have one drawn, below that
// to leave the row out; numbers [n] in [0, 1) -> [2, n]: ids, and their log-probabilities
void DrawTokens(Call& call) {
  const float *logits = call.Floats(0), *numbers = call.Floats(2);
  const int32_t* given = call.Ints(1);
  const Shape shape = call.ShapeOf(0);
  const int64_t n = call.Size(1), classes = shape[1];
  const bool guided = shape[0] == 2 * n;
  const float scale = call.attributes.scale;
  for (int64_t r = 0; r < n; r++) {
    if (given[r] >= classes) {
      const std::string range = "0 .. " + std::to_string(classes - 1);
      return call.Fail("token " + std::to_string(given[r]) + " in row " + std::to_string(r) + " is outside " + range);
    }
  }
  float* out = call.Output(0, {2, n});
  if (!out) return;
#pragma omp parallel if (n * classes > kSmall)
  {
    std::vector<float> mixed(classes), weights(classes);
#pragma omp for schedule(dynamic, 8)
    for (int64_t r = 0; r < n; r++) {
      if (given[r] < kDrawn) {
        out[r] = out[n + r] = 0;
        continue;
      }
      const float top = Mix(logits + r * classes, guided ? logits + (n + r) * classes : nullptr, scale, classes, mixed.data());
      const float sum = ExpSum(mixed.data(), top, classes, weights.data());
      const int64_t id = given[r] == kDrawn ? Draw(weights.data(), classes, sum, numbers[r]) : given[r];
      out[r] = static_cast<float>(id);
      out[n + r] = mixed[id] - top - std::log(sum);
    }
  }
}

// logits [2 n, classes], with and without a condition -> scale with - (scale - 1) without [n, classes]
void Mixture(Call& call) {
  const float* logits = call.Floats(0);
  const Shape shape = call.ShapeOf(0);
  const int64_t half = call.Size(0) / 2;
  const float scale = call.attributes.scale, rest = scale - 1.0f;
  float* mixed = call.Output(0, {shape[0] / 2, shape[1]});
  if (!mixed) return;
#pragma omp parallel for simd if (half > kSmall) schedule(static)
  for (int64_t i = 0; i < half; i++) mixed[i] = logits[i] * scale - logits[half + i] * rest;
}

// The gradient of a mixture -> that of its logits
void MixtureGrad(Call& call) {
  const float* dy = call.Floats(0);
  const Shape shape = call.ShapeOf(0);
  const int64_t half = call.Size(0);
  const float scale = call.attributes.scale, rest = 1.0f - scale;
  float* slopes = call.Output(0, {2 * shape[0], shape[1]});
  if (!slopes) return;
#pragma omp parallel for simd if (half > kSmall) schedule(static)
  for (int64_t i = 0; i < half; i++) {
    slopes[i] = dy[i] * scale;
    slopes[half + i] = dy[i] * rest;
  }
}

}  // namespace

std::vector<Definition> DrawOps() {
  return {
      {"UnilabMixture", {"logits: float"}, {"mixed: float"}, {"scale: float"}, &Run<Mixture>},
      {"UnilabMixtureGrad", {"dy: float"}, {"dlogits: float"}, {"scale: float"}, &Run<MixtureGrad>},
      {"UnilabDrawTokens",
       {"logits: float", "given: int32", "numbers: float"},
       {"drawn: float"},
       {"scale: float"},
       &Run<DrawTokens>},
  };
}

}  // namespace unilab
