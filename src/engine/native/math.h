// Arithmetic that compilers turn into vector instructions.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace unilab {

// exp(x) to about 1e-7, by Cephes' polynomial; inputs beyond float's range are held at its ends.
inline float Exp(float x) {
  x = x > 88.0f ? 88.0f : x;
  x = x < -87.0f ? -87.0f : x;
  const float n = __builtin_floorf(x * 1.44269504088896341f + 0.5f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

// As many numbers as a vector register of AVX-512 has; smaller registers take several.
constexpr int64_t kLane = 16;
using Lane = float __attribute__((vector_size(kLane * sizeof(float)), aligned(4), may_alias));

inline Lane& LaneAt(float* x) { return *reinterpret_cast<Lane*>(x); }
inline const Lane& LaneAt(const float* x) { return *reinterpret_cast<const Lane*>(x); }

// The same of a lane whose numbers are 0 or below.
inline Lane ExpBelow(Lane x) {
  using Bits = int32_t __attribute__((vector_size(kLane * sizeof(int32_t))));
  x = x < -87.0f ? Lane{} - 87.0f : x;
  // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the last bits.
  const Lane shifted = x * 1.44269504088896341f + 12582912.0f;
  const Lane n = shifted - 12582912.0f;
  const Lane r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Lane p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return (Lane)((Bits)p + ((Bits)shifted << 23));
}

// Scores times `scale`, with the mask added if there is one; `to` may be where they stand. @returns the largest
inline float MaskedScores(const float* scores, float scale, const float* mask, int64_t count, float* to) {
  float top = -INFINITY;
  if (mask) {
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < count; i++) {
      to[i] = scores[i] * scale + mask[i];
      top = std::max(top, to[i]);
    }
  } else {
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < count; i++) {
      to[i] = scores[i] * scale;
      top = std::max(top, to[i]);
    }
  }
  return top;
}

// The sum of exp(x[i] - top), where no x[i] is above top; the exponentials go to `to`, if it is there.
inline float ExpSum(const float* x, float top, int64_t count, float* to) {
  Lane sums = {};
  const int64_t whole = count / kLane * kLane;
  for (int64_t i = 0; i < whole; i += kLane) {
    const Lane power = ExpBelow(LaneAt(x + i) - top);
    if (to) LaneAt(to + i) = power;
    sums += power;
  }
  float sum = 0;
  if (whole < count) {
    Lane rest = {};
    for (int64_t i = whole; i < count; i++) rest[i - whole] = x[i] - top;
    const Lane power = ExpBelow(rest);
    for (int64_t i = whole; i < count; i++) {
      if (to) to[i] = power[i - whole];
      sum += power[i - whole];
    }
  }
  for (int64_t i = 0; i < kLane; i++) sum += sums[i];
  return sum;
}

inline float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// Below this many values one thread is faster than waking the others.
constexpr int64_t kSmall = 1 << 15;

}  // namespace unilab
