// What the kernels of matrix products share, and those of one product of two matrices.
#pragma once
#include "tiles.h"

#ifdef UNILAB_TILES
#include <cstdlib>
#include <memory>

namespace unilab {

// Up to so many rows the left factor is the one that is kept in tiles, and the right one passes by once.
constexpr int64_t kFewRows = 32;

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

// y [x.outer, w.outer] = x w^T + bias, of few rows: both factors lie along the inner index. No bias: nullptr.
void FewRows(const Factor& x, const Factor& w, const float* bias, float* y);

// y [a.outer, b.outer], of any size. `bias`: one number a column, or none. `sums` [a.outer], or none: those of the left
// factor over the inner index, which lies across memory; they are not rounded.
void Multiply(const Factor& a, const Factor& b, const float* bias, float* y, float* sums = nullptr);

}  // namespace unilab
#endif
