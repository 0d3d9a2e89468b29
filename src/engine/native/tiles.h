// Tiles of bfloat16 for the processor's matrix unit (AMX), made of float32 matrices. A tile has 16 rows of 64 bytes: 16
// rows of 32 numbers of the left factor, or 16 pairs of the inner index by 16 columns of the right one.
#pragma once
#include "packing.h"

#if defined(__AMX_BF16__) && defined(UNILAB_PAIRS)
#define UNILAB_TILES 1

namespace unilab {

// Compilers do not know that instructions of tiles read and write memory: what was written before stands there now, and
// what is read behind comes from there.
inline void Settle() { __asm__ volatile("" ::: "memory"); }

// Whether the system lets this process use the unit: asked once.
bool TilesAllowed();

// While it lives, this thread's eight tiles have their full size.
class TileUse {
 public:
  TileUse() {
    alignas(64) uint8_t config[64] = {1};
    for (int i = 0; i < 8; i++) {
      config[16 + 2 * i] = 64;
      config[48 + i] = 16;
    }
    _tile_loadconfig(config);
  }
  ~TileUse() { _tile_release(); }
};

// Adds to the four tiles 0 to 3 the products of `count` pairs of tiles of each factor, which stand behind each other.
inline void AddFourProducts(const uint16_t* a, const uint16_t* b, int64_t count) {
  for (int64_t k = 0; k < count; k++, a += 2 * kTile, b += 2 * kTile) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + kTile, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + kTile, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

}  // namespace unilab
#endif
