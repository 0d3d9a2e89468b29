// Attention of a few new tokens to those that a cache holds. The new ones are written into the cache, in place.
#include <algorithm>
#include <cmath>

#include "math.h"
#include "op.h"

namespace unilab {
namespace {

// Below this many multiplications of keys one thread is faster than waking the others.
constexpr int64_t kAlone = 1 << 19;

// The sizes of one run.
struct Sizes {
  int64_t heads, groups, tokens, dim, capacity;
};

// One query against `seen` keys: softmax(q k^T * scale) v. `scores` has room for all of them.
void Attend(const float* q, const float* keys, const float* values, int64_t seen, int64_t dim, float scale, float* scores,
            float* out) {
  float top = -INFINITY;
  for (int64_t p = 0; p < seen; p++) {
    const float* key = keys + p * dim;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t d = 0; d < dim; d++) dot += q[d] * key[d];
    scores[p] = dot * scale;
  }
#pragma omp simd reduction(max : top)
  for (int64_t p = 0; p < seen; p++) top = std::max(top, scores[p]);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t p = 0; p < seen; p++) {
    scores[p] = Exp(scores[p] - top);
    sum += scores[p];
  }
  std::fill(out, out + dim, 0.0f);
  for (int64_t p = 0; p < seen; p++) {
    const float* value = values + p * dim;
    const float share = scores[p];
#pragma omp simd
    for (int64_t d = 0; d < dim; d++) out[d] += share * value[d];
  }
  const float share = 1.0f / sum;
#pragma omp simd
  for (int64_t d = 0; d < dim; d++) out[d] *= share;
}

// All queries of one row that share a key-value head.
void AttendGroup(const Sizes& s, const float* q, const float* keys, const float* values, int64_t held, float scale,
                 float* scores, float* out) {
  for (int64_t h = 0; h < s.heads / s.groups; h++) {
    for (int64_t t = 0; t < s.tokens; t++) {
      const int64_t at = (h * s.tokens + t) * s.dim;
      Attend(q + at, keys, values, held + t + 1, s.dim, scale, scores, out + at);
    }
  }
}

// q [batch, heads, tokens, dim], k and v [batch, groups, tokens, dim], keys and values [batch, groups, capacity, dim],
// lengths [batch] -> [batch, heads, tokens, dim]. Row b's tokens are written behind the first lengths[b] of `keys` and
// `values`, and see those and themselves, causally.
void CachedAttention(Call& call) {
  const float *q = call.Floats(0), *k = call.Floats(1), *v = call.Floats(2);
  float *keys = call.Written(3), *values = call.Written(4);
  const int32_t* lengths = call.Ints(5);
  const Shape asked = call.ShapeOf(0), held = call.ShapeOf(3);
  const int64_t batch = asked[0];
  const Sizes s{asked[1], held[1], asked[2], asked[3], held[2]};
  for (int64_t b = 0; b < batch; b++) {
    if (lengths[b] < 0 || lengths[b] + s.tokens > s.capacity) {
      return call.Fail("row " + std::to_string(b) + " holds " + std::to_string(lengths[b]) + " tokens, and " +
                       std::to_string(s.tokens) + " more do not fit into " + std::to_string(s.capacity));
    }
  }
  float* out = call.Output(0, asked);
  if (!out) return;
  const float scale = call.attributes.scale;
  const int64_t fresh = s.tokens * s.dim, queries = s.heads / s.groups * fresh, most = s.capacity * s.dim;
  const int64_t longest = *std::max_element(lengths, lengths + batch) + s.tokens;
#pragma omp parallel if (batch * s.heads * fresh * longest > kAlone)
  {
    std::vector<float> scores(longest);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < batch * s.groups; i++) {
      const int64_t length = lengths[i / s.groups];
      std::copy(k + i * fresh, k + (i + 1) * fresh, keys + i * most + length * s.dim);
      std::copy(v + i * fresh, v + (i + 1) * fresh, values + i * most + length * s.dim);
      AttendGroup(s, q + i * queries, keys + i * most, values + i * most, length, scale, scores.data(), out + i * queries);
    }
  }
}

}  // namespace

std::vector<Definition> CacheOps() {
  return {
      {"UnilabCachedAttention",
       {"q: float", "k: float", "v: float", "keys: float", "values: float", "lengths: int32"},
       {"out: float"},
       {"scale: float"},
       &Run<CachedAttention>,
       true},
  };
}

}  // namespace unilab
