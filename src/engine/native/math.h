// Arithmetic that compilers turn into vector instructions.
#pragma once
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

inline float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// Below this many values one thread is faster than waking the others.
constexpr int64_t kSmall = 1 << 15;

}  // namespace unilab
