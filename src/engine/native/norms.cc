// Layer norm and group norm. Sums over rows are made in fixed parts that are added in order, so that a run repeats to
// the last bit.
#include <algorithm>
#include <cmath>

#include "math.h"
#include "op.h"

namespace unilab {
namespace {

constexpr int64_t kParts = 16;

// x [rows, dim], gamma [dim], beta [dim or 0] -> y, mean [rows], inverse deviation [rows]
void LayerNorm(Call& call) {
  const float *x = call.Floats(0), *gamma = call.Floats(1);
  const int64_t dim = call.Size(1), rows = call.Size(0) / dim;
  const float* beta = call.Size(2) > 0 ? call.Floats(2) : nullptr;
  const float epsilon = call.attributes.epsilon;
  float* y = call.Output(0, call.ShapeOf(0));
  float* mean = call.Output(1, {rows});
  float* inverse = call.Output(2, {rows});
  if (!y || !mean || !inverse) return;
#pragma omp parallel for if (rows * dim > kSmall) schedule(static)
  for (int64_t r = 0; r < rows; r++) {
    const float* from = x + r * dim;
    float* to = y + r * dim;
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < dim; i++) sum += from[i];
    const float m = sum / dim;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < dim; i++) squares += (from[i] - m) * (from[i] - m);
    const float v = 1.0f / std::sqrt(squares / dim + epsilon);
    if (beta) {
#pragma omp simd
      for (int64_t i = 0; i < dim; i++) to[i] = (from[i] - m) * v * gamma[i] + beta[i];
    } else {
#pragma omp simd
      for (int64_t i = 0; i < dim; i++) to[i] = (from[i] - m) * v * gamma[i];
    }
    mean[r] = m;
    inverse[r] = v;
  }
}

// x, gamma, mean, inverse, dy -> dx, dgamma, dbeta
void LayerNormGrad(Call& call) {
  const float *x = call.Floats(0), *gamma = call.Floats(1), *mean = call.Floats(2), *inverse = call.Floats(3);
  const float* dy = call.Floats(4);
  const int64_t dim = call.Size(1), rows = call.Size(2);
  float* dx = call.Output(0, call.ShapeOf(0));
  float* dgamma = call.Output(1, {dim});
  float* dbeta = call.Output(2, {dim});
  if (!dx || !dgamma || !dbeta) return;
  std::vector<float> parts(2 * kParts * dim, 0.0f);
#pragma omp parallel for if (rows * dim > kSmall) schedule(static)
  for (int64_t part = 0; part < kParts; part++) {
    float* pg = parts.data() + 2 * part * dim;
    float* pb = pg + dim;
    for (int64_t r = part * rows / kParts; r < (part + 1) * rows / kParts; r++) {
      const float *from = x + r * dim, *up = dy + r * dim;
      float* to = dx + r * dim;
      const float m = mean[r], v = inverse[r];
      float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
      for (int64_t i = 0; i < dim; i++) {
        const float hat = (from[i] - m) * v, g = up[i] * gamma[i];
        sum += g;
        dot += g * hat;
        pg[i] += up[i] * hat;
        pb[i] += up[i];
      }
      sum /= dim;
      dot /= dim;
#pragma omp simd
      for (int64_t i = 0; i < dim; i++) to[i] = v * (up[i] * gamma[i] - sum - (from[i] - m) * v * dot);
    }
  }
  std::fill(dgamma, dgamma + dim, 0.0f);
  std::fill(dbeta, dbeta + dim, 0.0f);
  for (int64_t part = 0; part < kParts; part++) {
    for (int64_t i = 0; i < dim; i++) dgamma[i] += parts[2 * part * dim + i];
    for (int64_t i = 0; i < dim; i++) dbeta[i] += parts[(2 * part + 1) * dim + i];
  }
}

// The sum of each group's channels, for each channel again, divided by `count`.
void SpreadOverGroups(std::vector<float>& channels, int64_t groups, float count) {
  const int64_t share = channels.size() / groups;
  for (int64_t g = 0; g < groups; g++) {
    float sum = 0;
    for (int64_t c = g * share; c < (g + 1) * share; c++) sum += channels[c];
    std::fill(channels.begin() + g * share, channels.begin() + (g + 1) * share, sum / count);
  }
}

// x [batch, places, channels], gamma, beta [channels] -> y, mean and inverse deviation [batch, channels]
void GroupNorm(Call& call) {
  const float *x = call.Floats(0), *gamma = call.Floats(1), *beta = call.Floats(2);
  const Shape shape = call.ShapeOf(0);
  const int64_t batch = shape[0], places = shape[1], channels = shape[2], groups = call.attributes.groups;
  const float epsilon = call.attributes.epsilon, count = static_cast<float>(places * (channels / groups));
  float* y = call.Output(0, shape);
  float* mean = call.Output(1, {batch, channels});
  float* inverse = call.Output(2, {batch, channels});
  if (!y || !mean || !inverse) return;
#pragma omp parallel for if (call.Size(0) > kSmall) schedule(static)
  for (int64_t b = 0; b < batch; b++) {
    const float* from = x + b * places * channels;
    float* to = y + b * places * channels;
    std::vector<float> m(channels, 0.0f), v(channels, 0.0f), scale(channels), offset(channels);
    float *pm = m.data(), *pv = v.data(), *ps = scale.data(), *po = offset.data();
    for (int64_t p = 0; p < places; p++) {
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) pm[c] += from[p * channels + c];
    }
    SpreadOverGroups(m, groups, count);
    for (int64_t p = 0; p < places; p++) {
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        const float apart = from[p * channels + c] - pm[c];
        pv[c] += apart * apart;
      }
    }
    SpreadOverGroups(v, groups, count);
    for (int64_t c = 0; c < channels; c++) {
      const float deviation = 1.0f / std::sqrt(pv[c] + epsilon);
      mean[b * channels + c] = pm[c];
      inverse[b * channels + c] = deviation;
      ps[c] = deviation * gamma[c];
      po[c] = beta[c] - pm[c] * ps[c];
    }
    for (int64_t p = 0; p < places; p++) {
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) to[p * channels + c] = from[p * channels + c] * ps[c] + po[c];
    }
  }
}

// x, gamma, mean, inverse, dy -> dx, dgamma, dbeta
void GroupNormGrad(Call& call) {
  const float *x = call.Floats(0), *gamma = call.Floats(1), *mean = call.Floats(2), *inverse = call.Floats(3);
  const float* dy = call.Floats(4);
  const Shape shape = call.ShapeOf(0);
  const int64_t batch = shape[0], places = shape[1], channels = shape[2], groups = call.attributes.groups;
  const float count = static_cast<float>(places * (channels / groups));
  float* dx = call.Output(0, shape);
  float* dgamma = call.Output(1, {channels});
  float* dbeta = call.Output(2, {channels});
  if (!dx || !dgamma || !dbeta) return;
  std::vector<float> sums(2 * batch * channels, 0.0f);
#pragma omp parallel for if (call.Size(0) > kSmall) schedule(static)
  for (int64_t b = 0; b < batch; b++) {
    const float *from = x + b * places * channels, *up = dy + b * places * channels;
    const float *m = mean + b * channels, *v = inverse + b * channels;
    float* to = dx + b * places * channels;
    float *sum = sums.data() + 2 * b * channels, *dot = sum + channels;
    for (int64_t p = 0; p < places; p++) {
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        sum[c] += up[p * channels + c];
        dot[c] += up[p * channels + c] * (from[p * channels + c] - m[c]) * v[c];
      }
    }
    std::vector<float> groupSum(channels), groupDot(channels), a(channels), q(channels), k(channels);
    for (int64_t c = 0; c < channels; c++) {
      groupSum[c] = sum[c] * gamma[c];
      groupDot[c] = dot[c] * gamma[c];
    }
    SpreadOverGroups(groupSum, groups, count);
    SpreadOverGroups(groupDot, groups, count);
    float *pa = a.data(), *pq = q.data(), *pk = k.data();
    for (int64_t c = 0; c < channels; c++) {
      pa[c] = v[c] * gamma[c];
      pq[c] = -v[c] * v[c] * groupDot[c];
      pk[c] = -v[c] * groupSum[c];
    }
    for (int64_t p = 0; p < places; p++) {
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        to[p * channels + c] = up[p * channels + c] * pa[c] + (from[p * channels + c] - m[c]) * pq[c] + pk[c];
      }
    }
  }
  std::fill(dgamma, dgamma + channels, 0.0f);
  std::fill(dbeta, dbeta + channels, 0.0f);
  for (int64_t b = 0; b < batch; b++) {
    const float *sum = sums.data() + 2 * b * channels, *dot = sum + channels;
    for (int64_t c = 0; c < channels; c++) dbeta[c] += sum[c];
    for (int64_t c = 0; c < channels; c++) dgamma[c] += dot[c];
  }
}

}  // namespace

std::vector<Definition> NormOps() {
  const std::vector<const char*> given = {"x: float", "gamma: float", "mean: float", "inverse: float", "dy: float"};
  const std::vector<const char*> values = {"y: float", "mean: float", "inverse: float"};
  const std::vector<const char*> gradients = {"dx: float", "dgamma: float", "dbeta: float"};
  const std::vector<const char*> inputs = {"x: float", "gamma: float", "beta: float"};
  return {
      {"UnilabLayerNorm", inputs, values, {"epsilon: float"}, &Run<LayerNorm>},
      {"UnilabLayerNormGrad", given, gradients, {}, &Run<LayerNormGrad>},
      {"UnilabGroupNorm", inputs, values, {"epsilon: float", "groups: int"}, &Run<GroupNorm>},
      {"UnilabGroupNormGrad", given, gradients, {"groups: int"}, &Run<GroupNormGrad>},
  };
}

}  // namespace unilab
