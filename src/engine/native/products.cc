// Products of two float32 matrices, rounded to bfloat16 and summed in float32, on the processor's matrix unit. Each
// number is summed in one order, whatever the number of threads and of rows.
#include "tiles.h"

#include "op.h"

#ifdef UNILAB_TILES
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace unilab {

bool TilesAllowed() {
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool allowed = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return allowed;
}

namespace {

// Up to so many rows the left factor is the one that is kept in tiles, and the right one passes by once.
constexpr int64_t kFewRows = 32;
// Rows of a block of the left factor, numbers of the inner index that are multiplied at once, and bytes of the right
// factor's tiles: they stay in the second cache.
constexpr int64_t kBlock = 128, kChunk = 512, kKept = 3 << 19;
// Below this many multiplications one thread is faster than waking the others.
constexpr int64_t kAlone = 1 << 21;
constexpr int64_t kFewAlone = 1 << 18;

constexpr int64_t Parts(int64_t size, int64_t part) { return (size + part - 1) / part; }

// Memory that a thread keeps for its next product: to ask the system for it costs more than a small product.
class Scratch {
 public:
  uint16_t* Tiles(int64_t count) {
    if (count > size_) {
      memory_.reset(static_cast<uint16_t*>(std::aligned_alloc(64, count * kTile * sizeof(uint16_t))));
      size_ = memory_ ? count : 0;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(uint16_t* memory) const { std::free(memory); }
  };
  std::unique_ptr<uint16_t, Free> memory_;
  int64_t size_ = 0;
};

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

// y [rows, outputs] = x w^T + bias, of few rows.
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

// A place of the result: 16 x 16 numbers, or what of them lies inside.
struct Place {
  float* at;
  int64_t stride, rows, columns;
  const float* bias;  // of its columns; nullptr: none
  bool IsWhole() const { return rows >= kSide && columns >= kSide; }
  bool IsEmpty() const { return rows <= 0 || columns <= 0; }
};

// What was summed before, as a tile: `spare` is used where the place is not whole.
const float* Before(const Place& place, float* spare) {
  for (int64_t i = 0; i < kSide; i++) {
    const __mmask16 mask = i < place.rows ? FirstOf(place.columns) : 0;
    _mm512_store_ps(spare + i * kSide, _mm512_maskz_loadu_ps(mask, place.at + i * place.stride));
  }
  return spare;
}

void Write(const float* spare, const Place& place) {
  const __mmask16 mask = FirstOf(place.columns);
  for (int64_t i = 0; i < std::min(kSide, place.rows); i++)
    _mm512_mask_storeu_ps(place.at + i * place.stride, mask, _mm512_load_ps(spare + i * kSide));
}

// The four tiles of the result: their numbers stand in the instructions.
void Zero(int tile) {
  if (tile == 0) _tile_zero(0);
  if (tile == 1) _tile_zero(1);
  if (tile == 2) _tile_zero(2);
  if (tile == 3) _tile_zero(3);
}

void Load(int tile, const float* from, int64_t stride) {
  Settle();
  if (tile == 0) _tile_loadd(0, from, stride * sizeof(float));
  if (tile == 1) _tile_loadd(1, from, stride * sizeof(float));
  if (tile == 2) _tile_loadd(2, from, stride * sizeof(float));
  if (tile == 3) _tile_loadd(3, from, stride * sizeof(float));
}

void Store(int tile, float* to, int64_t stride) {
  if (tile == 0) _tile_stored(0, to, stride * sizeof(float));
  if (tile == 1) _tile_stored(1, to, stride * sizeof(float));
  if (tile == 2) _tile_stored(2, to, stride * sizeof(float));
  if (tile == 3) _tile_stored(3, to, stride * sizeof(float));
  Settle();
}

void Begin(int tile, const Place& place, bool goes_on) {
  alignas(64) float spare[kSide * kSide];
  if (place.IsEmpty() || (!goes_on && !place.bias)) {
    Zero(tile);
  } else if (!goes_on) {
    _mm512_store_ps(spare, _mm512_maskz_loadu_ps(FirstOf(place.columns), place.bias));
    Load(tile, spare, 0);  // the same in every row
  } else if (place.IsWhole()) {
    Load(tile, place.at, place.stride);
  } else {
    Load(tile, Before(place, spare), kSide);
  }
}

void End(int tile, const Place& place) {
  alignas(64) float spare[kSide * kSide];
  if (place.IsEmpty()) return;
  if (place.IsWhole()) {
    Store(tile, place.at, place.stride);
  } else {
    Store(tile, spare, kSide);
    Write(spare, place);
  }
}

// 32 x 32 numbers of the result, `count` tiles of the inner index. Tiles of one row (or column) stand `apart`.
void MultiplyFour(const uint16_t* a, int64_t a_apart, const uint16_t* b, int64_t b_apart, int64_t count, bool goes_on,
                  const Place& place) {
  const float* next = place.bias ? place.bias + kSide : nullptr;
  const Place right{place.at + kSide, place.stride, place.rows, place.columns - kSide, next};
  const Place below{place.at + kSide * place.stride, place.stride, place.rows - kSide, place.columns, place.bias};
  const Place last{below.at + kSide, place.stride, below.rows, right.columns, next};
  Settle();
  Begin(0, place, goes_on);
  Begin(1, right, goes_on);
  Begin(2, below, goes_on);
  Begin(3, last, goes_on);
  for (int64_t k = 0; k < count; k++) {
    _tile_loadd(4, a + k * kTile, 64);
    _tile_loadd(6, b + k * kTile, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + (b_apart + k) * kTile, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + (a_apart + k) * kTile, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  End(0, place);
  End(1, right);
  End(2, below);
  End(3, last);
}

// `rows` rows from `row` on, of the columns whose tiles are packed.
void MultiplyBlock(const Factor& a, int64_t row, int64_t rows, const uint16_t* b, int64_t column, int64_t columns,
                   const float* bias, float* y, int64_t stride) {
  const int64_t depth = Parts(a.inner, kDepth), chunk = kChunk / kDepth;
  uint16_t* tiles = left_tiles.Tiles(Parts(rows, 2 * kSide) * 2 * chunk);
  for (int64_t k = 0; k < depth; k += chunk) {
    const int64_t count = std::min(chunk, depth - k);
    const int64_t sides = 2 * Parts(rows, 2 * kSide);
    // In the order in which the numbers lie in memory.
    for (int64_t step = 0; step < sides * count; step++) {
      const int64_t i = a.along ? step / count : step % sides, j = a.along ? step % count : step / sides;
      PackLeft(a, row + i * kSide, (k + j) * kDepth, tiles + (i * chunk + j) * kTile);
    }
    for (int64_t i = 0; i < rows; i += 2 * kSide) {
      for (int64_t j = 0; j < columns; j += 2 * kSide) {
        const Place place{y + (row + i) * stride + column + j, stride, rows - i, columns - j,
                          bias ? bias + column + j : nullptr};
        MultiplyFour(tiles + i / kSide * chunk * kTile, chunk, b + (j / kSide * depth + k) * kTile, depth, count, k > 0,
                     place);
      }
    }
  }
}

// y [a.outer, b.outer], of any size. `bias`: one number a column, or none.
void Multiply(const Factor& a, const Factor& b, const float* bias, float* y) {
  const int64_t depth = Parts(a.inner, kDepth), pair = 2 * kSide;
  const int64_t fitting = kKept / (depth * kTile * static_cast<int64_t>(sizeof(uint16_t))) / 2 * 2 * kSide;
  const int64_t width = std::min(std::max(pair, fitting), Parts(b.outer, pair) * pair);
  // Halves for two threads, where there are few rows.
  const int64_t block = std::min(kBlock, Parts(Parts(a.outer, 2), pair) * pair);
  const int64_t sides = width / kSide;
  uint16_t* tiles = right_tiles.Tiles(sides * depth);
#pragma omp parallel if (a.outer * b.outer * a.inner > kAlone)
  {
    const TileUse use;
    for (int64_t column = 0; column < b.outer; column += width) {
#pragma omp for schedule(static)
      for (int64_t step = 0; step < sides * depth; step++) {
        const int64_t i = b.along ? step / depth : step % sides, k = b.along ? step % depth : step / sides;
        PackRight(b, column + i * kSide, k * kDepth, tiles + (i * depth + k) * kTile);
      }
#pragma omp for schedule(dynamic)
      for (int64_t row = 0; row < a.outer; row += block) {
        const int64_t rows = std::min(block, a.outer - row), columns = std::min(width, b.outer - column);
        MultiplyBlock(a, row, rows, tiles, column, columns, bias, y, b.outer);
      }
    }
  }
}

// a, b -> op(a) op(b), where op transposes what `adj_x` and `adj_y` say.
void Product(Call& call) {
  const Shape left = call.ShapeOf(0), right = call.ShapeOf(1);
  const bool across = call.attributes.adj_x, along = call.attributes.adj_y;
  const Factor a{call.Floats(0), left[1], left[across], left[!across], !across};
  const Factor b{call.Floats(1), right[1], right[!along], right[along], along};
  if (a.inner != b.inner) {
    return call.Fail("matrices with " + std::to_string(a.inner) + " columns and " + std::to_string(b.inner) +
                     " rows cannot be multiplied");
  }
  float* y = call.Output(0, {a.outer, b.outer});
  if (!y) return;
  if (a.along && b.along && a.outer <= kFewRows) {
    FewRows(a, b, nullptr, y);
  } else {
    Multiply(a, b, nullptr, y);
  }
}

// x [rows, inner], w [outputs, inner], bias [outputs] -> x w^T + bias. The sums begin with the bias.
void Linear(Call& call) {
  const Shape left = call.ShapeOf(0), right = call.ShapeOf(1);
  const Factor x{call.Floats(0), left[1], left[0], left[1], true};
  const Factor w{call.Floats(1), right[1], right[0], right[1], true};
  if (x.inner != w.inner || call.Size(2) != w.outer) {
    return call.Fail("a linear map of " + std::to_string(w.inner) + " to " + std::to_string(w.outer) +
                     " numbers cannot be applied to rows of " + std::to_string(x.inner) + ", or with " +
                     std::to_string(call.Size(2)) + " biases");
  }
  float* y = call.Output(0, {x.outer, w.outer});
  if (!y) return;
  if (x.outer <= kFewRows) {
    FewRows(x, w, call.Floats(2), y);
  } else {
    Multiply(x, w, call.Floats(2), y);
  }
}

}  // namespace

std::vector<Definition> ProductOps() {
  if (!TilesAllowed()) return {};
  return {
      {"UnilabProduct", {"a: float", "b: float"}, {"y: float"}, {"adj_x: bool", "adj_y: bool"}, &Run<Product>},
      {"UnilabLinear", {"x: float", "w: float", "bias: float"}, {"y: float"}, {}, &Run<Linear>},
  };
}

}  // namespace unilab

#else

namespace unilab {

std::vector<Definition> ProductOps() { return {}; }

}  // namespace unilab
#endif
