// Products of few rows on processors with lanes alone, without a matrix unit. The weight is rounded to bfloat16 and laid
// out for them first, which whoever multiplies by it again and again does once; it is then read once a product.
#include "op.h"
#include "packing.h"

#if defined(UNILAB_PAIRS) && !defined(__AMX_BF16__)
#include <vector>

namespace unilab {
namespace {

// The most rows: of more, a weight is small beside what it is multiplied by.
constexpr int64_t kMostRows = 32;

// Below this many multiplications, or numbers to be laid out, one thread is faster than waking the others.
constexpr int64_t kAlone = 1 << 22, kFewNumbers = 1 << 18;

constexpr int64_t Parts(int64_t size, int64_t part) { return (size + part - 1) / part; }

// Words of two numbers that a row of the inner index takes, in whole tiles.
constexpr int64_t Words(int64_t inner) { return Parts(inner, kDepth) * kSide; }

// w [outputs, inner] -> [outputs / 16, words, 16]: of 16 outputs a word each, one behind the other along the inner index.
void Pairs(Call& call) {
  const Shape shape = call.ShapeOf(0);
  if (shape.size() != 2) return call.Fail("a weight has two axes, not " + std::to_string(shape.size()));
  const Factor w{call.Floats(0), shape[1], shape[0], shape[1], true};
  const int64_t blocks = Parts(w.outer, kSide), words = Words(w.inner);
  int32_t* pairs = call.IntsOutput(0, {blocks, words, kSide});
  if (!pairs) return;
#pragma omp parallel for if (w.outer * w.inner > kFewNumbers) schedule(static)
  for (int64_t block = 0; block < blocks; block++) {
    for (int64_t k = 0; k < words; k += kSide) {
      const int64_t at = (block * words + k) * kSide;
      PackRight(w, block * kSide, 2 * k, reinterpret_cast<uint16_t*>(pairs + at));
    }
  }
}

struct Outputs {
  const int32_t* pairs;  // of the first output
  int64_t words, count;  // words along the inner index; outputs from the first one on
  float* y;              // of the first row and output
  int64_t stride;        // from row to row
};

// kBlocks times 16 outputs of kRows rows. `x`: words of 16 rows, one behind the other along the inner index.
template <int kRows, int kBlocks>
void Multiply(const Outputs& to, const int32_t* x, int64_t rows) {
  __m512 sums[kBlocks][kRows];
  for (auto& block : sums)
    for (auto& row : block) row = _mm512_setzero_ps();
  for (int64_t k = 0; k < to.words; k++) {
    __m512bh weights[kBlocks];
    for (int block = 0; block < kBlocks; block++)
      weights[block] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(to.pairs + (block * to.words + k) * kSide));
    for (int row = 0; row < kRows; row++) {
      const __m512bh pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(x[k * kSide + row]));
      for (int block = 0; block < kBlocks; block++)
        sums[block][row] = _mm512_dpbf16_ps(sums[block][row], weights[block], pair);
    }
  }
  for (int block = 0; block < kBlocks; block++) {
    const __mmask16 mask = FirstOf(to.count - block * kSide);
    for (int row = 0; row < std::min<int64_t>(kRows, rows); row++)
      _mm512_mask_storeu_ps(to.y + row * to.stride + block * kSide, mask, sums[block][row]);
  }
}

// Sums stay in the registers: the fewer rows, the more outputs at once.
void MultiplyRows(const Outputs& to, int64_t blocks, const int32_t* x, int64_t rows) {
  if (blocks == 1 || rows > 8) {
    for (int64_t block = 0; block < blocks; block++) {
      const Outputs one{to.pairs + block * to.words * kSide, to.words, to.count - block * kSide, to.y + block * kSide,
                        to.stride};
      if (rows > 8) {
        Multiply<16, 1>(one, x, rows);
      } else if (rows > 4) {
        Multiply<8, 1>(one, x, rows);
      } else {
        Multiply<4, 1>(one, x, rows);
      }
    }
  } else if (rows > 4) {
    Multiply<8, 2>(to, x, rows);
  } else {
    Multiply<4, 2>(to, x, rows);
  }
}

// x [rows, inner], a weight as `Pairs` leaves it -> x w^T [rows, outputs]
void FewRows(Call& call) {
  const Shape left = call.ShapeOf(0), right = call.ShapeOf(1);
  const int64_t outputs = call.attributes.outputs;
  if (left.size() != 2 || right.size() != 3 || left[0] > kMostRows || right[1] != Words(left[1]) ||
      right[0] != Parts(outputs, kSide)) {
    return call.Fail("a product of few rows needs [up to 32, n], and a weight that was made for n numbers");
  }
  const Factor x{call.Floats(0), left[1], left[0], left[1], true};
  float* y = call.Output(0, {x.outer, outputs});
  if (!y) return;
  const int64_t words = right[1], blocks = right[0];
  std::vector<int32_t> packed(Parts(x.outer, kSide) * words * kSide + kSide);
  int32_t* const tiles = packed.data() + (kSide - reinterpret_cast<uintptr_t>(packed.data()) / 4 % kSide) % kSide;
  for (int64_t row = 0; row < x.outer; row += kSide)
    for (int64_t k = 0; k < words; k += kSide)
      PackRight(x, row, 2 * k, reinterpret_cast<uint16_t*>(tiles + (row * words / kSide + k) * kSide));
#pragma omp parallel for if (x.outer * outputs * x.inner > kAlone) schedule(static)
  for (int64_t block = 0; block < blocks; block += 2) {
    for (int64_t row = 0; row < x.outer; row += kSide) {
      const int64_t output = block * kSide;
      const Outputs to{call.Ints(1) + output * words, words, outputs - output, y + row * outputs + output, outputs};
      MultiplyRows(to, std::min<int64_t>(2, blocks - block), tiles + row * words, x.outer - row);
    }
  }
}

}  // namespace

std::vector<Definition> FewRowsOps() {
  return {
      {"UnilabPairs", {"w: float"}, {"pairs: int32"}, {}, &Run<Pairs>},
      {"UnilabFewRows", {"x: float", "pairs: int32"}, {"y: float"}, {"outputs: int"}, &Run<FewRows>},
  };
}

}  // namespace unilab

#else

namespace unilab {

std::vector<Definition> FewRowsOps() { return {}; }

}  // namespace unilab
#endif
