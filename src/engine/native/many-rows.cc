// A product of two matrices of any size, in blocks that stay in the processor's caches.
#include "products.h"

#ifdef UNILAB_TILES
#include <omp.h>

namespace unilab {
namespace {

// Rows of a block of the left factor. Numbers of the inner index that are multiplied at once: two tiles' width of both
// factors stay in the first cache.
constexpr int64_t kBlock = 64, kChunk = 256;
// Columns of a piece of the right factor, and its bytes: it stays in the second cache.
constexpr int64_t kWidth = 1024, kPiece = 1 << 20;
// Below this many multiplications one thread is faster than waking the others.
constexpr int64_t kAlone = 1 << 21;

thread_local Scratch left_tiles, right_tiles, kept_tiles;

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

// The tile is written by way of a small one: stores of whole rows wait for no memory, those of a tile do.
void End(int tile, const Place& place) {
  alignas(64) float spare[kSide * kSide];
  if (place.IsEmpty()) return;
  Store(tile, spare, kSide);
  Write(spare, place);
}

// The four places of 32 x 32 numbers of the result.
struct Places {
  explicit Places(const Place& place)
      : four{place,
             {place.at + kSide, place.stride, place.rows, place.columns - kSide, Next(place.bias)},
             {place.at + kSide * place.stride, place.stride, place.rows - kSide, place.columns, place.bias},
             {place.at + kSide * place.stride + kSide, place.stride, place.rows - kSide, place.columns - kSide,
              Next(place.bias)}} {}
  static const float* Next(const float* bias) { return bias ? bias + kSide : nullptr; }
  const Place four[4];
};

// What the sums of a chunk of the inner index begin with, and where they go.
struct Step {
  bool first, last;  // of the piece's chunks; between them, sums stand in `kept`
  bool goes_on;      // The result holds the sums of earlier pieces.
  float* kept;       // four tiles
};

// 32 x 32 numbers of the result, `count` numbers of tiles of the inner index. Two tiles of each factor stand together.
void MultiplyFour(const uint16_t* a, const uint16_t* b, int64_t count, const Place& place, const Step& step) {
  Settle();
  if (step.first) {
    const Places places(place);
    for (int tile = 0; tile < 4; tile++) Begin(tile, places.four[tile], step.goes_on);
  } else {
    for (int tile = 0; tile < 4; tile++) Load(tile, step.kept + tile * kSide * kSide, kSide);
  }
  AddFourProducts(a, b, count);
  if (step.last) {
    const Places places(place);
    for (int tile = 0; tile < 4; tile++) End(tile, places.four[tile]);
  } else {
    for (int tile = 0; tile < 4; tile++) Store(tile, step.kept + tile * kSide * kSide, kSide);
  }
}

// A piece of the right factor, packed: tiles of the inner index from `from` on, chunk after chunk; of each chunk, pairs
// of columns' tiles.
struct Piece {
  int64_t column, columns, from, depth;
  uint16_t* tiles;
  int64_t Pairs() const { return Parts(columns, 2 * kSide); }
  // Of a chunk that begins `k` tiles behind the piece's.
  int64_t Count(int64_t k) const { return std::min(kChunk / kDepth, depth - k); }
  uint16_t* At(int64_t k, int64_t pair) const { return tiles + 2 * (Pairs() * k + pair * Count(k)) * kTile; }
};

// How many parts a piece is packed in, and one of them: what lies together in memory.
int64_t PackParts(const Factor& b, const Piece& piece) { return b.along ? 2 * piece.Pairs() : piece.depth; }

void PackPart(const Factor& b, const Piece& piece, int64_t part) {
  const int64_t most = kChunk / kDepth, sides = 2 * piece.Pairs();
  for (int64_t k = b.along ? 0 : part; k < (b.along ? piece.depth : part + 1); k++) {
    const int64_t chunk = k / most * most, count = piece.Count(chunk);
    uint16_t* tiles = piece.At(chunk, 0) + 2 * (k - chunk) * kTile;
    for (int64_t i = b.along ? part : 0; i < (b.along ? part + 1 : sides); i++) {
      PackRight(b, piece.column + i * kSide, (piece.from + k) * kDepth, tiles + (i / 2 * 2 * count + i % 2) * kTile);
    }
  }
}

// Adds the numbers of a tile's width of the inner index, which lies across memory.
void AddInner(const Factor& f, int64_t outer, int64_t inner, float* sums) {
  const __mmask16 columns = FirstOf(f.outer - outer);
  const int64_t end = std::min(f.inner, inner + kDepth);
  __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
  for (int64_t k = inner; k < end; k += 2) {
    even = _mm512_add_ps(even, _mm512_maskz_loadu_ps(columns, f.at + k * f.stride + outer));
    if (k + 1 < end) odd = _mm512_add_ps(odd, _mm512_maskz_loadu_ps(columns, f.at + (k + 1) * f.stride + outer));
  }
  const __m512 before = _mm512_maskz_loadu_ps(columns, sums + outer);
  _mm512_mask_storeu_ps(sums + outer, columns, _mm512_add_ps(before, _mm512_add_ps(even, odd)));
}

// `rows` rows from `row` on, of a piece's columns.
void MultiplyBlock(const Factor& a, int64_t row, int64_t rows, const Piece& piece, const float* bias, float* y,
                   int64_t stride, float* inner_sums) {
  const int64_t pairs = Parts(rows, 2 * kSide), most = kChunk / kDepth, sums = 4 * kSide * kSide;
  uint16_t* tiles = left_tiles.Tiles(pairs * 2 * most);
  // A tile of sums has as many bytes as one of bfloat16.
  float* kept = reinterpret_cast<float*>(kept_tiles.Tiles(4 * pairs * piece.Pairs()));
  for (int64_t k = 0; k < piece.depth; k += most) {
    const int64_t count = piece.Count(k), sides = 2 * pairs;
    // In the order in which the numbers lie in memory.
    for (int64_t u = 0; u < (a.along ? sides : count); u++) {
      for (int64_t v = 0; v < (a.along ? count : sides); v++) {
        const int64_t i = a.along ? u : v, j = a.along ? v : u;
        const int64_t outer = row + i * kSide, inner = (piece.from + k + j) * kDepth;
        PackLeft(a, outer, inner, tiles + (2 * (i / 2 * count + j) + i % 2) * kTile);
        if (inner_sums && piece.column == 0) AddInner(a, outer, inner, inner_sums);
      }
    }
    for (int64_t i = 0; i < pairs; i++) {
      for (int64_t j = 0; j < piece.Pairs(); j++) {
        const int64_t down = row + i * 2 * kSide, right = piece.column + j * 2 * kSide;
        const Place place{y + down * stride + right, stride, rows - i * 2 * kSide, piece.columns - j * 2 * kSide,
                          bias ? bias + right : nullptr};
        const Step step{k == 0, k + count == piece.depth, piece.from > 0, kept + (i * piece.Pairs() + j) * sums};
        MultiplyFour(tiles + i * 2 * count * kTile, piece.At(k, j), count, place, step);
      }
    }
  }
}

// What a product is cut into: pieces of the right factor of `width` columns and `deep` tiles of the inner index.
struct Cut {
  Cut(const Factor& a, const Factor& b) : depth(Parts(a.inner, kDepth)), columns(b.outer) {
    width = std::min(kWidth, Parts(columns, 2 * kSide) * 2 * kSide);
    const int64_t bytes = width / kSide * kTile * static_cast<int64_t>(sizeof(uint16_t)), most = kChunk / kDepth;
    deep = std::min(depth, std::max(kPiece / bytes / most, int64_t{1}) * most);
  }
  int64_t Tiles() const { return width / kSide * deep; }
  Piece At(int64_t column, int64_t from, uint16_t* tiles) const {
    return {column, std::min(width, columns - column), from, std::min(deep, depth - from), tiles};
  }
  int64_t depth, columns, width, deep;
};

// Rows of a block, so that `threads` have as many to do.
int64_t BlockOf(const Factor& a, int64_t threads) {
  const int64_t each = Parts(a.outer, threads), pair = 2 * kSide;
  return Parts(Parts(each, Parts(each, kBlock)), pair) * pair;
}

}  // namespace

void Multiply(const Factor& a, const Factor& b, const float* bias, float* y, float* sums) {
  if (sums) std::fill_n(sums, a.outer, 0.0f);
  const Cut cut(a, b);
  uint16_t* tiles = right_tiles.Tiles(cut.Tiles());
#pragma omp parallel if (a.outer * b.outer * a.inner > kAlone)
  {
    const TileUse use;
    const int64_t block = BlockOf(a, omp_get_num_threads());
    for (int64_t column = 0; column < b.outer; column += cut.width) {
      for (int64_t from = 0; from < cut.depth; from += cut.deep) {
        const Piece piece = cut.At(column, from, tiles);
#pragma omp for schedule(static)
        for (int64_t part = 0; part < PackParts(b, piece); part++) PackPart(b, piece, part);
#pragma omp for schedule(dynamic)
        for (int64_t row = 0; row < a.outer; row += block)
          MultiplyBlock(a, row, std::min(block, a.outer - row), piece, bias, y, b.outer, sums);
      }
    }
  }
}

}  // namespace unilab
#endif
