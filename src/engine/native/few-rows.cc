// A product of few rows: each number of the weight is read once.
#include "products.h"

#ifdef UNILAB_TILES
namespace unilab {
namespace {

// Below this many multiplications one thread is faster than waking the others.
constexpr int64_t kFewAlone = 1 << 18;

thread_local Scratch left_tiles, right_tiles;

// Writes a tile of 16 outputs by 16 rows, the other way round, where they belong.
void StoreAcross(const float* tile, float* y, int64_t stride, int64_t rows, int64_t outputs) {
  __m512i r[16];
  for (int i = 0; i < 16; i++) r[i] = _mm512_load_si512(tile + i * kSide);
  Transpose(r);
  const __mmask16 mask = FirstOf(outputs);
  for (int64_t i = 0; i < std::min(kSide, rows); i++)
    _mm512_mask_storeu_ps(y + i * stride, mask, _mm512_castsi512_ps(r[i]));
}

// What the sums of 16 outputs begin with, as a tile of outputs by rows.
void BiasAcross(const float* bias, int64_t outputs, float* tile) {
  for (int64_t i = 0; i < kSide; i++) _mm512_store_ps(tile + i * kSide, _mm512_set1_ps(i < outputs ? bias[i] : 0.0f));
}

// 32 outputs of up to 32 rows. The weight is the left factor here.
void FewOutputs(const Factor& w, int64_t output, const uint16_t* x, int64_t rows, const float* bias, uint16_t* tiles,
                float* y) {
  const int64_t depth = Parts(w.inner, kDepth);
  for (int64_t half = 0; half < 2; half++) {
    for (int64_t k = 0; k < depth; k++)
      PackLeft(w, output + half * kSide, k * kDepth, tiles + (half * depth + k) * kTile);
  }
  constexpr int kStride = 64;
  alignas(64) float sums[4][kSide * kSide];
  if (bias) {
    BiasAcross(bias + output, w.outer - output, sums[0]);
    BiasAcross(bias + output + kSide, w.outer - output - kSide, sums[1]);
    Settle();
    _tile_loadd(0, sums[0], kStride);
    _tile_loadd(1, sums[1], kStride);
    _tile_loadd(2, sums[0], kStride);
    _tile_loadd(3, sums[1], kStride);
  } else {
    Settle();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < depth; k++) {
    _tile_loadd(4, tiles + k * kTile, kStride);
    _tile_loadd(5, tiles + (depth + k) * kTile, kStride);
    _tile_loadd(6, x + k * kTile, kStride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 5, 6);
    if (rows > kSide) {
      _tile_loadd(7, x + (depth + k) * kTile, kStride);
      _tile_dpbf16ps(2, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums[0], kStride);
  _tile_stored(1, sums[1], kStride);
  _tile_stored(2, sums[2], kStride);
  _tile_stored(3, sums[3], kStride);
  Settle();
  for (int64_t part = 0; part < 4; part++) {
    const int64_t first = part / 2 * kSide, from = output + part % 2 * kSide;
    if (first < rows) StoreAcross(sums[part], y + first * w.outer + from, w.outer, rows - first, w.outer - from);
  }
}

}  // namespace

void FewRows(const Factor& x, const Factor& w, const float* bias, float* y) {
  const int64_t depth = Parts(x.inner, kDepth), halves = Parts(x.outer, kSide);
  uint16_t* packed = right_tiles.Tiles(halves * depth);
  for (int64_t half = 0; half < halves; half++) {
    for (int64_t k = 0; k < depth; k++) PackRight(x, half * kSide, k * kDepth, packed + (half * depth + k) * kTile);
  }
#pragma omp parallel if (w.outer * w.inner > kFewAlone)
  {
    const TileUse use;
    uint16_t* tiles = left_tiles.Tiles(2 * depth);
#pragma omp for schedule(static)
    for (int64_t output = 0; output < w.outer; output += 2 * kSide)
      FewOutputs(w, output, packed, x.outer, bias, tiles, y);
  }
}

}  // namespace unilab
#endif
