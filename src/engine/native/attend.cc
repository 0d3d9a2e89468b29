// Attention from projections to mixed values, with norms of heads, positions, scores and softmax, as one operation; its
// gradient is another. No scores are written, and no token is moved.
#include "attend.h"

#ifdef UNILAB_TILES
#include <algorithm>
#include <cstring>

namespace unilab {
namespace {

// Tokens of a sequence, as the tables of positions have them.
int64_t LengthOf(const Call& call, int cos) {
  const Shape table = call.ShapeOf(cos);
  return table[table.size() - 2];
}

Sequences SequencesOf(const Call& call, int cos, int64_t keys) {
  const Shape seen = call.ShapeOf(cos + 2);
  const int64_t tokens = LengthOf(call, cos), table = tokens * call.ShapeOf(cos).back();
  Sequences of{0, 0, tokens, call.Floats(cos), call.Floats(cos + 1), 0, nullptr, 0, 0};
  if (call.Size(cos) > table) of.table = table;
  if (call.Size(cos + 2) > 0) {
    of.mask = call.Floats(cos + 2);
    of.query = seen[2] > 1 ? keys : 0;
    of.row = seen[0] > 1 ? seen[2] * keys : 0;
  }
  return of;
}

}  // namespace

// q [.., heads * dim], k, v [.., groups * dim], norms of queries and keys (gamma, beta [dim] or [0]) each; of
// beginnings and of rows: cos, sin [.., length, dim], mask [1 or all, 1, 1 or length, keys] or [0]; owner [rows] or [0],
// swap [dim, dim]
Layout::Layout(const Call& call) {
  dim = call.ShapeOf(14)[0];
  heads = call.ShapeOf(0).back() / dim;
  groups = call.ShapeOf(1).back() / dim;
  tokens = call.Size(0) / (heads * dim);
  const float* swap = call.Floats(14);
  half = 0;
  while (half < dim && swap[half * dim] == 0.0f) half++;
  owner = call.Ints(13);
  const int64_t owned = call.Size(13);
  const int64_t shared = LengthOf(call, 7), length = LengthOf(call, 10);
  beginnings = SequencesOf(call, 7, shared);
  rest = SequencesOf(call, 10, shared + length);
  const int64_t rows = owned > 0 ? owned : tokens / std::max(length, int64_t{1}), first = tokens - rows * length;
  rest.first = first;
  rest.count = rows;
  beginnings.count = shared > 0 ? first / shared : 0;
  if (beginnings.count * shared != first)
    problem = std::to_string(first) + " tokens are no beginnings of " + std::to_string(shared);
  for (int64_t r = 0; r < owned; r++) {
    if (owner[r] < 0 || owner[r] >= beginnings.count)
      problem = "row " + std::to_string(r) + " goes on from beginning " + std::to_string(owner[r]) + " of " +
                std::to_string(beginnings.count);
  }
}

Turn TurnOf(const Call& call, const Layout& layout, int gamma) {
  const bool normed = call.Size(gamma) > 0;
  return {normed ? call.Floats(gamma) : nullptr, normed ? call.Floats(gamma + 1) : nullptr, call.attributes.epsilon,
          layout.dim, layout.half};
}

namespace {

__m512 Masked(int64_t count, const float* from) { return _mm512_maskz_loadu_ps(FirstOf(count), from); }

}  // namespace

Moments Turn::operator()(const float* x, const float* cos, const float* sin, float* y) const {
  Moments found{0.0f, 1.0f};
  if (gamma) {
    __m512 sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < dim; i += kSide) sums = _mm512_add_ps(sums, Masked(dim - i, x + i));
    found.mean = _mm512_reduce_add_ps(sums) / dim;
    const __m512 mean = _mm512_set1_ps(found.mean);
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < dim; i += kSide) {
      const __m512 apart = _mm512_maskz_sub_ps(FirstOf(dim - i), Masked(dim - i, x + i), mean);
      squares = _mm512_fmadd_ps(apart, apart, squares);
    }
    found.inverse = 1.0f / std::sqrt(_mm512_reduce_add_ps(squares) / dim + epsilon);
    const __m512 inverse = _mm512_set1_ps(found.inverse);
    for (int64_t i = 0; i < dim; i += kSide) {
      const __m512 hat = _mm512_mul_ps(_mm512_sub_ps(Masked(dim - i, x + i), mean), inverse);
      const __m512 normed = _mm512_fmadd_ps(hat, Masked(dim - i, gamma + i), Masked(dim - i, beta + i));
      _mm512_mask_storeu_ps(y + i, FirstOf(dim - i), normed);
    }
  } else {
    std::memcpy(y, x, dim * sizeof(float));
  }
  for (int64_t i = 0; i < half; i += kSide) {
    const int64_t count = half - i;
    const __m512 first = Masked(count, y + i), second = Masked(count, y + half + i);
    const __m512 down = _mm512_fnmadd_ps(second, Masked(count, sin + i), _mm512_mul_ps(first, Masked(count, cos + i)));
    const __m512 up = _mm512_fmadd_ps(first, Masked(count, sin + half + i),
                                      _mm512_mul_ps(second, Masked(count, cos + half + i)));
    _mm512_mask_storeu_ps(y + i, FirstOf(count), down);
    _mm512_mask_storeu_ps(y + half + i, FirstOf(count), up);
  }
  return found;
}

void Turn::Back(const float* x, const Moments& moments, const float* cos, const float* sin, float* dy, float* dx,
                float* dgamma, float* dbeta) const {
  for (int64_t i = 0; i < half; i += kSide) {
    const int64_t count = half - i;
    const __m512 first = Masked(count, dy + i), second = Masked(count, dy + half + i);
    const __m512 down = _mm512_fmadd_ps(second, Masked(count, sin + half + i),
                                        _mm512_mul_ps(first, Masked(count, cos + i)));
    const __m512 up = _mm512_fnmadd_ps(first, Masked(count, sin + i),
                                       _mm512_mul_ps(second, Masked(count, cos + half + i)));
    _mm512_mask_storeu_ps(dy + i, FirstOf(count), down);
    _mm512_mask_storeu_ps(dy + half + i, FirstOf(count), up);
  }
  if (!gamma) {
    std::memcpy(dx, dy, dim * sizeof(float));
    return;
  }
  const __m512 mean = _mm512_set1_ps(moments.mean), inverse = _mm512_set1_ps(moments.inverse);
  __m512 sums = _mm512_setzero_ps(), dots = _mm512_setzero_ps();
  for (int64_t i = 0; i < dim; i += kSide) {
    const __mmask16 mask = FirstOf(dim - i);
    const __m512 up = Masked(dim - i, dy + i), g = _mm512_mul_ps(up, Masked(dim - i, gamma + i));
    const __m512 hat = _mm512_mul_ps(_mm512_sub_ps(Masked(dim - i, x + i), mean), inverse);
    sums = _mm512_add_ps(sums, g);
    dots = _mm512_fmadd_ps(g, hat, dots);
    _mm512_mask_storeu_ps(dgamma + i, mask, _mm512_fmadd_ps(up, hat, Masked(dim - i, dgamma + i)));
    _mm512_mask_storeu_ps(dbeta + i, mask, _mm512_add_ps(up, Masked(dim - i, dbeta + i)));
  }
  const __m512 sum = _mm512_set1_ps(_mm512_reduce_add_ps(sums) / dim);
  const __m512 dot = _mm512_set1_ps(_mm512_reduce_add_ps(dots) / dim);
  for (int64_t i = 0; i < dim; i += kSide) {
    const __m512 g = _mm512_mul_ps(Masked(dim - i, dy + i), Masked(dim - i, gamma + i));
    const __m512 hat = _mm512_mul_ps(_mm512_sub_ps(Masked(dim - i, x + i), mean), inverse);
    const __m512 slope = _mm512_mul_ps(inverse, _mm512_sub_ps(_mm512_sub_ps(g, sum), _mm512_mul_ps(hat, dot)));
    _mm512_mask_storeu_ps(dx + i, FirstOf(dim - i), slope);
  }
}

void Arena::Reserve(int64_t count) {
  taken_ = 0;
  if (count <= size_) return;
  memory_.reset(static_cast<float*>(std::aligned_alloc(64, count * sizeof(float))));
  size_ = count;
}

float* Arena::Take(int64_t count) {
  float* from = memory_.get() + taken_;
  taken_ += count;
  return from;
}

void LeftTiles(const Factor& f, uint16_t* tiles) {
  const int64_t depth = Parts(f.inner, kDepth);
  for (int64_t i = 0; i < 2 * Parts(f.outer, kPair); i++) {
    for (int64_t k = 0; k < depth; k++)
      PackLeft(f, i * kSide, k * kDepth, tiles + ((i / 2 * depth + k) * 2 + i % 2) * kTile);
  }
}

void RightTiles(const Factor& f, uint16_t* tiles) {
  const int64_t depth = Parts(f.inner, kDepth);
  for (int64_t i = 0; i < 2 * Parts(f.outer, kPair); i++) {
    for (int64_t k = 0; k < depth; k++)
      PackRight(f, i * kSide, k * kDepth, tiles + ((i / 2 * depth + k) * 2 + i % 2) * kTile);
  }
}

namespace {

// 32 x 32 numbers.
void FourTiles(const uint16_t* a, const uint16_t* b, int64_t depth, float* y, int64_t stride, bool goes_on) {
  const int64_t bytes = stride * static_cast<int64_t>(sizeof(float));
  float* below = y + kSide * stride;
  Settle();
  if (goes_on) {
    _tile_loadd(0, y, bytes);
    _tile_loadd(1, y + kSide, bytes);
    _tile_loadd(2, below, bytes);
    _tile_loadd(3, below + kSide, bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  AddFourProducts(a, b, depth);
  _tile_stored(0, y, bytes);
  _tile_stored(1, y + kSide, bytes);
  _tile_stored(2, below, bytes);
  _tile_stored(3, below + kSide, bytes);
  Settle();
}

}  // namespace

void TileProduct(const uint16_t* a, const uint16_t* b, int64_t rows, int64_t columns, int64_t inner, float* y,
                 int64_t stride, bool goes_on) {
  const int64_t depth = Parts(inner, kDepth), each = 2 * depth * kTile;
  for (int64_t i = 0; i < Parts(rows, kPair); i++) {
    for (int64_t j = 0; j < Parts(columns, kPair); j++)
      FourTiles(a + i * each, b + j * each, depth, y + i * kPair * stride + j * kPair, stride, goes_on);
  }
}

}  // namespace unilab
#endif
