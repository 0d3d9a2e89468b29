// The softmax of attention with scale and mask, and log-probabilities of tokens.
#include <algorithm>
#include <cmath>

#include "math.h"
#include "op.h"

namespace unilab {
namespace {

// scores [batch, heads, queries, keys], mask [1 or batch, 1 or heads, 1 or queries, keys] or [0]
// -> softmax(scores * scale + mask)
void MaskedSoftmax(Call& call) {
  const float* scores = call.Floats(0);
  const Shape shape = call.ShapeOf(0);
  const int64_t heads = shape[1], queries = shape[2], keys = shape[3], rows = shape[0] * heads * queries;
  const float scale = call.attributes.scale;
  const float* mask = call.Size(1) > 0 ? call.Floats(1) : nullptr;
  const Shape seen = mask ? call.ShapeOf(1) : Shape{1, 1, 1, keys};
  float* out = call.Output(0, shape);
  if (!out) return;
#pragma omp parallel for if (rows * keys > kSmall) schedule(static)
  for (int64_t r = 0; r < rows; r++) {
    const float* from = scores + r * keys;
    float* to = out + r * keys;
    const float* add = nullptr;
    if (mask) {
      const int64_t b = (r / (heads * queries)) % seen[0], h = (r / queries) % heads % seen[1], q = r % queries % seen[2];
      add = mask + ((b * seen[1] + h) * seen[2] + q) * keys;
    }
    const float top = MaskedScores(from, scale, add, keys, to);
    const float share = 1.0f / ExpSum(to, top, keys, to);
#pragma omp simd
    for (int64_t i = 0; i < keys; i++) to[i] *= share;
  }
}

// p, dp [.., keys] -> the gradient of the scores, p * (dp - sum(p * dp)) * scale
void MaskedSoftmaxGrad(Call& call) {
  const float *p = call.Floats(0), *dp = call.Floats(1);
  const Shape shape = call.ShapeOf(0);
  const int64_t keys = shape.back(), rows = keys > 0 ? call.Size(0) / keys : 0;
  const float scale = call.attributes.scale;
  float* ds = call.Output(0, shape);
  if (!ds) return;
#pragma omp parallel for if (rows * keys > kSmall) schedule(static)
  for (int64_t r = 0; r < rows; r++) {
    const float *pr = p + r * keys, *dr = dp + r * keys;
    float* to = ds + r * keys;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < keys; i++) dot += pr[i] * dr[i];
#pragma omp simd
    for (int64_t i = 0; i < keys; i++) to[i] = pr[i] * (dr[i] - dot) * scale;
  }
}

// logits [n, vocab], ids [n] -> log-probability of each id [n], log of each row's sum of exponentials [n]
void TokenLogProbs(Call& call) {
  const float* logits = call.Floats(0);
  const int32_t* ids = call.Ints(1);
  const Shape shape = call.ShapeOf(0);
  const int64_t n = shape[0], vocab = shape[1];
  for (int64_t r = 0; r < n; r++) {
    if (ids[r] < 0 || ids[r] >= vocab) {
      const std::string range = "0 .. " + std::to_string(vocab - 1);
      return call.Fail("token " + std::to_string(ids[r]) + " in row " + std::to_string(r) + " is outside " + range);
    }
  }
  float* chosen = call.Output(0, {n});
  float* total = call.Output(1, {n});
  if (!chosen || !total) return;
#pragma omp parallel for if (n * vocab > kSmall) schedule(static)
  for (int64_t r = 0; r < n; r++) {
    const float* z = logits + r * vocab;
    float top = -INFINITY;
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < vocab; i++) top = std::max(top, z[i]);
    const float rest = std::log(ExpSum(z, top, vocab, nullptr));
    chosen[r] = z[ids[r]] - top - rest;
    total[r] = top + rest;
  }
}

// logits, ids, the rows' logarithms, dy [n] -> the gradient of the logits, dy * (one-hot - softmax)
void TokenLogProbsGrad(Call& call) {
  const float *logits = call.Floats(0), *total = call.Floats(2), *dy = call.Floats(3);
  const int32_t* ids = call.Ints(1);
  const Shape shape = call.ShapeOf(0);
  const int64_t n = shape[0], vocab = shape[1];
  float* dz = call.Output(0, shape);
  if (!dz) return;
#pragma omp parallel for if (n * vocab > kSmall) schedule(static)
  for (int64_t r = 0; r < n; r++) {
    const float* z = logits + r * vocab;
    float* to = dz + r * vocab;
    const float g = dy[r], all = total[r];
    if (g == 0.0f) {
      std::fill(to, to + vocab, 0.0f);
      continue;
    }
    ExpSum(z, all, vocab, to);
#pragma omp simd
    for (int64_t i = 0; i < vocab; i++) to[i] *= -g;
    to[ids[r]] += g;
  }
}

}  // namespace

std::vector<Definition> SoftmaxOps() {
  return {
      {"UnilabMaskedSoftmax", {"scores: float", "mask: float"}, {"p: float"}, {"scale: float"}, &Run<MaskedSoftmax>},
      {"UnilabMaskedSoftmaxGrad", {"p: float", "dp: float"}, {"ds: float"}, {"scale: float"}, &Run<MaskedSoftmaxGrad>},
      {"UnilabTokenLogProbs",
       {"logits: float", "ids: int32"},
       {"chosen: float", "total: float"},
       {},
       &Run<TokenLogProbs>},
      {"UnilabTokenLogProbsGrad",
       {"logits: float", "ids: int32", "total: float", "dy: float"},
       {"dlogits: float"},
       {},
       &Run<TokenLogProbsGrad>},
  };
}

}  // namespace unilab
