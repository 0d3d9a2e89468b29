// Attention of rows that go on from beginnings, from projections to mixed values: head by head the norms, positions, scores
// and their softmax stay in a core's cache.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "math.h"
#include "op.h"

namespace unilab {
namespace {

// Queries that are computed together: so many rows of accumulators fit into registers.
constexpr int64_t kQueries = 6;

// Added to the scores of what is not seen.
constexpr float kHidden = -1e9f;

constexpr int64_t RoundUp(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

// The sizes of one run. Keys are padded to two lanes, values to two lanes of dimensions.
struct Sizes {
  int64_t tokens, heads, dim, shared, keys, rotated;
  int64_t KeyRoom() const { return RoundUp(keys, 2 * kLane); }
  int64_t DimRoom() const { return RoundUp(dim, 2 * kLane); }
};

// y = norm(x) turned to its position. Queries and keys alike.
struct Turn {
  const float *gamma, *beta, *cos, *sin;
  int64_t dim, rotated;
  float epsilon;

  void operator()(const float* x, int64_t token, float* y) const {
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < dim; i++) sum += x[i];
    const float mean = sum / dim;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < dim; i++) squares += (x[i] - mean) * (x[i] - mean);
    const float inverse = 1.0f / std::sqrt(squares / dim + epsilon);
#pragma omp simd
    for (int64_t i = 0; i < dim; i++) y[i] = (x[i] - mean) * inverse * gamma[i] + beta[i];
    const float *c = cos + token * dim, *s = sin + token * dim;
    for (int64_t i = 0, half = rotated / 2; i < half; i++) {
      const float first = y[i], second = y[i + half];
      y[i] = first * c[i] - second * s[i];
      y[i + half] = second * c[i + half] + first * s[i + half];
    }
  }
};

// scores [queries, room] = q [queries, dim] kt [dim, room]
void Scores(const float* q, const float* kt, int64_t dim, int64_t room, float* scores) {
  for (int64_t from = 0; from < room; from += 2 * kLane) {
    Lane sum[kQueries][2] = {};
    for (int64_t d = 0; d < dim; d++) {
      const Lane first = LaneAt(kt + d * room + from);
      const Lane second = LaneAt(kt + d * room + from + kLane);
#pragma GCC unroll 6
      for (int64_t i = 0; i < kQueries; i++) {
        sum[i][0] += q[i * dim + d] * first;
        sum[i][1] += q[i * dim + d] * second;
      }
    }
    for (int64_t i = 0; i < kQueries; i++) {
      LaneAt(scores + i * room + from) = sum[i][0];
      LaneAt(scores + i * room + from + kLane) = sum[i][1];
    }
  }
}

// mixed [queries, width] = scores [queries, room] v [keys, width]
void Mix(const float* scores, const float* v, int64_t keys, int64_t room, int64_t width, float* mixed) {
  for (int64_t from = 0; from < width; from += 2 * kLane) {
    Lane sum[kQueries][2] = {};
    for (int64_t k = 0; k < keys; k++) {
      const Lane first = LaneAt(v + k * width + from);
      const Lane second = LaneAt(v + k * width + from + kLane);
#pragma GCC unroll 6
      for (int64_t i = 0; i < kQueries; i++) {
        sum[i][0] += scores[i * room + k] * first;
        sum[i][1] += scores[i * room + k] * second;
      }
    }
    for (int64_t i = 0; i < kQueries; i++) {
      LaneAt(mixed + i * width + from) = sum[i][0];
      LaneAt(mixed + i * width + from + kLane) = sum[i][1];
    }
  }
}

// Exponentials of scores + mask, and one over their sum. Places behind the keys are masked.
float Weigh(float* scores, const float* mask, int64_t room) {
  Lane tops = LaneAt(scores) + LaneAt(mask), sums = {};
  for (int64_t k = 0; k < room; k += kLane) {
    const Lane masked = LaneAt(scores + k) + LaneAt(mask + k);
    tops = masked > tops ? masked : tops;
    LaneAt(scores + k) = masked;
  }
  float top = tops[0], sum = 0;
  for (int64_t i = 1; i < kLane; i++) top = std::max(top, tops[i]);
  for (int64_t k = 0; k < room; k += kLane) {
    const Lane weight = ExpBelow(LaneAt(scores + k) - top);
    LaneAt(scores + k) = weight;
    sums += weight;
  }
  for (int64_t i = 0; i < kLane; i++) sum += sums[i];
  return 1.0f / sum;
}

// One head of one row.
class Head {
 public:
  explicit Head(const Sizes& sizes)
      : s_(sizes),
        kt_(s_.dim * s_.KeyRoom()),
        v_(s_.keys * s_.DimRoom()),
        turned_(s_.dim),
        q_(kQueries * s_.dim),
        scores_(kQueries * s_.KeyRoom()),
        mixed_(kQueries * s_.DimRoom()),
        mask_(s_.KeyRoom(), kHidden) {}

  // Keys and values of the beginning, [shared, dim], then the row's own, whose tokens are `stride` numbers apart.
  void Take(const float* keys, const float* values, const float* k, const float* v, int64_t stride, const Turn& turn) {
    const int64_t room = s_.KeyRoom(), width = s_.DimRoom();
    for (int64_t t = 0; t < s_.keys; t++) {
      const bool begun = t < s_.shared;
      const float* key = begun ? keys + t * s_.dim : turned_.data();
      if (!begun) turn(k + (t - s_.shared) * stride, t - s_.shared, turned_.data());
      for (int64_t d = 0; d < s_.dim; d++) kt_[d * room + t] = key[d];
      std::memcpy(&v_[t * width], begun ? values + t * s_.dim : v + (t - s_.shared) * stride, s_.dim * sizeof(float));
    }
  }

  // All of the row's queries.
  void Attend(const float* q, int64_t stride, const Turn& turn, float scale, const float* mask, float* out) {
    const int64_t room = s_.KeyRoom(), width = s_.DimRoom();
    std::copy(mask, mask + s_.keys, mask_.begin());
    for (int64_t from = 0; from < s_.tokens; from += kQueries) {
      const int64_t count = std::min(kQueries, s_.tokens - from);
      for (int64_t i = 0; i < count; i++) {
        turn(q + (from + i) * stride, from + i, turned_.data());
        for (int64_t d = 0; d < s_.dim; d++) q_[i * s_.dim + d] = turned_[d] * scale;
      }
      Scores(q_.data(), kt_.data(), s_.dim, room, scores_.data());
      float share[kQueries];
      for (int64_t i = 0; i < count; i++) share[i] = Weigh(&scores_[i * room], mask_.data(), room);
      Mix(scores_.data(), v_.data(), s_.keys, room, width, mixed_.data());
      for (int64_t i = 0; i < count; i++) {
        float* to = out + (from + i) * stride;
#pragma omp simd
        for (int64_t d = 0; d < s_.dim; d++) to[d] = mixed_[i * width + d] * share[i];
      }
    }
  }

 private:
  const Sizes s_;
  std::vector<float> kt_, v_, turned_, q_, scores_, mixed_, mask_;
};

// q, k, v [rows, tokens, heads * dim], norms of queries and keys [dim] each, cos and sin [tokens, dim], keys and values of
// beginnings [beginnings, heads, shared, dim], owner [rows], mask [rows, 1, 1, shared + tokens]
// -> [rows, tokens, heads * dim]
void BegunAttention(Call& call) {
  const float *q = call.Floats(0), *k = call.Floats(1), *v = call.Floats(2);
  const float *cos = call.Floats(7), *sin = call.Floats(8), *keys = call.Floats(9), *values = call.Floats(10);
  const int32_t* owner = call.Ints(11);
  const float* mask = call.Floats(12);
  const Shape shape = call.ShapeOf(0), held = call.ShapeOf(9);
  const int64_t rows = shape[0], stride = shape[2], heads = held[1];
  const Sizes s{shape[1], heads, held[3], held[2], held[2] + shape[1], call.attributes.groups};
  for (int64_t r = 0; r < rows; r++) {
    if (owner[r] < 0 || owner[r] >= held[0])
      return call.Fail("row " + std::to_string(r) + " goes on from beginning " + std::to_string(owner[r]) + " of " +
                       std::to_string(held[0]));
  }
  float* out = call.Output(0, shape);
  if (!out) return;
  const float epsilon = call.attributes.epsilon, scale = call.attributes.scale;
  const Turn query{call.Floats(3), call.Floats(4), cos, sin, s.dim, s.rotated, epsilon};
  const Turn key{call.Floats(5), call.Floats(6), cos, sin, s.dim, s.rotated, epsilon};
  const int64_t begun = s.shared * s.dim;
#pragma omp parallel if (rows * s.tokens * stride > kSmall)
  {
    Head head(s);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows * heads; i++) {
      const int64_t r = i / heads, h = i % heads, at = (r * s.tokens * heads + h) * s.dim, from = (owner[r] * heads + h) * begun;
      head.Take(keys + from, values + from, k + at, v + at, stride, key);
      head.Attend(q + at, stride, query, scale, mask + r * s.keys, out + at);
    }
  }
}

}  // namespace

std::vector<Definition> BegunOps() {
  return {
      {"UnilabBegunAttention",
       {"q: float", "k: float", "v: float", "q_gamma: float", "q_beta: float", "k_gamma: float", "k_beta: float",
        "cos: float", "sin: float", "keys: float", "values: float", "owner: int32", "mask: float"},
       {"out: float"},
       {"epsilon: float", "scale: float", "groups: int"},
       &Run<BegunAttention>},
  };
}

}  // namespace unilab
