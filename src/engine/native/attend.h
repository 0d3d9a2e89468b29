// What attention of projections, forward and backward, is made of: how tokens stand, a head's turn to its positions, and
// products of tiles that stay in a core's cache.
#pragma once
#include "products.h"

#ifdef UNILAB_TILES
#include <cmath>
#include <cstdlib>
#include <memory>

#include "math.h"
#include "op.h"

namespace unilab {

constexpr int64_t kPair = 2 * kSide;
// Queries whose scores stand in the cache at once.
constexpr int64_t kQueries = 2 * kPair;

inline int64_t Padded(int64_t count) { return Parts(count, kPair) * kPair; }

// Sequences of one length that attend alike.
struct Sequences {
  int64_t first, count, tokens;  // the first one's token among all, how many there are, tokens of each
  const float *cos, *sin;
  int64_t table;  // between the tables of two sequences; 0: the same
  const float* mask;
  int64_t row, query;  // between the masks of two sequences, and of two queries

  const float* MaskOf(int64_t i, int64_t token) const { return mask ? mask + i * row + token * query : nullptr; }
};

// All tokens: beginnings, then rows that go on from them. Without beginnings, rows that see themselves.
struct Layout {
  explicit Layout(const Call& call);
  // Keys of a row's sequence that are its beginning's.
  int64_t Shared(const Sequences& of) const { return &of == &rest ? beginnings.tokens : 0; }

  int64_t tokens, heads, groups, dim, half;  // `half`: dimensions between two that turn together
  Sequences beginnings, rest;
  const int32_t* owner;
  std::string problem;  // empty: none
};

// What a norm measured of a head.
struct Moments {
  float mean, inverse;
};

// y = norm(x) turned to its position; without gamma there is no norm.
struct Turn {
  const float *gamma, *beta;
  float epsilon;
  int64_t dim, half;

  Moments operator()(const float* x, const float* cos, const float* sin, float* y) const;
  // From the gradient of y, which is overwritten: that of x; those of gamma and beta are added to theirs.
  void Back(const float* x, const Moments& moments, const float* cos, const float* sin, float* dy, float* dx,
            float* dgamma, float* dbeta) const;
};

Turn TurnOf(const Call& call, const Layout& layout, int gamma);

// Memory that a thread keeps: to ask the system for it costs more than a small sequence.
class Arena {
 public:
  // Room for so many numbers; what was taken before is void.
  void Reserve(int64_t count);
  float* Take(int64_t count);
  uint16_t* TakeTiles(int64_t rows, int64_t inner) {
    return reinterpret_cast<uint16_t*>(Take(Padded(rows) * Parts(inner, kDepth) * kDepth / 2));
  }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t size_ = 0, taken_ = 0;
};

// Factors in tiles, pairs of tiles behind each other along the inner index. A matrix [outer, inner] lies along the inner
// index, [inner, outer] across it.
void LeftTiles(const Factor& f, uint16_t* tiles);
void RightTiles(const Factor& f, uint16_t* tiles);

// y [rows, columns] of factors in tiles, both sizes and `stride` padded to pairs; `goes_on`: it is added.
void TileProduct(const uint16_t* a, const uint16_t* b, int64_t rows, int64_t columns, int64_t inner, float* y,
                 int64_t stride, bool goes_on);

}  // namespace unilab
#endif
