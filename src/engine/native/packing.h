// Numbers of float32 matrices as bfloat16, in pairs along the inner index of a product, which AVX-512 multiplies by twos.
#pragma once
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#define UNILAB_PAIRS 1
#include <immintrin.h>

#include <algorithm>
#include <cstdint>

namespace unilab {

constexpr int64_t kSide = 16;   // rows of a tile, and columns of a product's
constexpr int64_t kDepth = 32;  // numbers of the inner index
constexpr int64_t kTile = kSide * kDepth;

// A float32 matrix as a factor of a product: `outer` rows (of the left one) or columns (of the right one), `inner`
// numbers each. With `along` the inner index is the one that lies in a row of memory.
struct Factor {
  const float* at;
  int64_t stride, outer, inner;
  bool along;
};

inline __mmask16 FirstOf(int64_t count) {
  return static_cast<__mmask16>((1u << std::clamp<int64_t>(count, 0, 16)) - 1);
}

// Rows become columns, of 16 x 16 words.
inline void Transpose(__m512i r[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; i++) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// Two vectors rounded to bfloat16, the first one's numbers first.
inline __m512i Rounded(__m512 first, __m512 second) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

// The 16 x 32 numbers from (outer, inner) on, each row of the left factor's tile in one register; zeros beyond the end.
inline void LoadAlong(const Factor& f, int64_t outer, int64_t inner, __m512i r[16]) {
  const __mmask16 low = FirstOf(f.inner - inner), high = FirstOf(f.inner - inner - 16);
  const int64_t rows = std::min(kSide, f.outer - outer);
  for (int64_t i = 0; i < 16; i++) {
    const float* from = f.at + (outer + i) * f.stride + inner;
    r[i] = i < rows ? Rounded(_mm512_maskz_loadu_ps(low, from), _mm512_maskz_loadu_ps(high, from + 16))
                    : _mm512_setzero_si512();
  }
}

// The same of a factor whose outer index lies in a row of memory, each row of the right factor's tile in one register.
inline void LoadAcross(const Factor& f, int64_t outer, int64_t inner, __m512i r[16]) {
  alignas(64) static constexpr int16_t kPairs[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i pairs = _mm512_load_si512(kPairs);
  const __mmask16 columns = FirstOf(f.outer - outer);
  for (int64_t i = 0; i < 16; i++) {
    const int64_t k = inner + 2 * i;
    const float* from = f.at + k * f.stride + outer;
    const __m512 first = k < f.inner ? _mm512_maskz_loadu_ps(columns, from) : _mm512_setzero_ps();
    const __m512 second = k + 1 < f.inner ? _mm512_maskz_loadu_ps(columns, from + f.stride) : _mm512_setzero_ps();
    r[i] = _mm512_permutexvar_epi16(pairs, Rounded(first, second));
  }
}

inline void StoreTile(const __m512i r[16], uint16_t* tile) {
  for (int i = 0; i < 16; i++) _mm512_store_si512(tile + i * kDepth, r[i]);
}

// A tile of the left factor.
inline void PackLeft(const Factor& f, int64_t outer, int64_t inner, uint16_t* tile) {
  __m512i r[16];
  if (f.along) {
    LoadAlong(f, outer, inner, r);
  } else {
    LoadAcross(f, outer, inner, r);
    Transpose(r);
  }
  StoreTile(r, tile);
}

// A tile of the right factor.
inline void PackRight(const Factor& f, int64_t outer, int64_t inner, uint16_t* tile) {
  __m512i r[16];
  if (f.along) {
    LoadAlong(f, outer, inner, r);
    Transpose(r);
  } else {
    LoadAcross(f, outer, inner, r);
  }
  StoreTile(r, tile);
}

}  // namespace unilab
#endif
