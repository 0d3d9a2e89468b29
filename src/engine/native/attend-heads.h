// Attention of projections, head by head: what one thread does.
#pragma once
#include "attend.h"

#ifdef UNILAB_TILES
#include <algorithm>
#include <cstring>

namespace unilab {

// The heads of a group, sequence after sequence. What it needs besides stands in an arena.
class HeadWorker {
 public:
  HeadWorker(const Call& call, const Layout& layout, Arena& arena)
      : s_(layout),
        queries_(TurnOf(call, layout, 3)),
        keys_(TurnOf(call, layout, 5)),
        q_(call.Floats(0)),
        k_(call.Floats(1)),
        v_(call.Floats(2)),
        scale_(call.attributes.scale),
        width_(s_.heads * s_.dim),
        narrow_(s_.groups * s_.dim),
        room_(Padded(s_.dim)) {
    most_ = Padded(std::max(s_.beginnings.tokens + s_.rest.tokens, int64_t{1}));
    const int64_t begun = s_.beginnings.count * s_.beginnings.tokens, block = kQueries * (most_ + room_);
    arena.Reserve(Padded(begun * s_.dim) + 6 * most_ * room_ + 5 * block);
    begun_moments_.resize(begun);
    key_moments_.resize(s_.rest.tokens);
    begun_ = arena.Take(Padded(begun * s_.dim));
    for (float** held : {&key_, &value_, &dkey_, &dvalue_}) *held = arena.Take(most_ * room_);
    for (float** held : {&query_, &mixed_}) *held = arena.Take(kQueries * room_);
    for (float** held : {&scores_, &slopes_}) *held = arena.Take(kQueries * most_);
    for (uint16_t** tiles : {&key_tiles_, &value_tiles_, &key_across_}) *tiles = arena.TakeTiles(most_, room_);
    for (uint16_t** tiles : {&query_tiles_, &query_across_, &up_tiles_, &up_across_})
      *tiles = arena.TakeTiles(kQueries, room_);
    for (uint16_t** tiles : {&score_tiles_, &score_across_}) *tiles = arena.TakeTiles(kQueries, most_);
  }

  // out [tokens, heads * dim], and of every query of every head the largest score and one over the sum of exponentials.
  void Forward(int64_t group, float* out, float* sums) {
    TurnBeginnings(group);
    for (const Sequences* of : {&s_.beginnings, &s_.rest}) {
      for (int64_t i = 0; i < of->count; i++) {
        const int64_t keys = TakeKeys(*of, i, group);
        RightTiles({key_, s_.dim, keys, s_.dim, true}, key_tiles_);
        RightTiles({value_, s_.dim, s_.dim, keys, false}, value_tiles_);
        for (int64_t head = FirstHead(group); head < FirstHead(group + 1); head++) {
          for (int64_t from = 0; from < of->tokens; from += kQueries) Mix(*of, i, from, head, keys, out, sums);
        }
      }
    }
  }

  // Gradients, from those of `out`; `norms`: of each head's gamma and beta of queries, then of keys, [heads][4][dim].
  void Backward(int64_t group, const float* out, const float* sums, const float* dout, float* dq, float* dk, float* dv,
                float* norms) {
    const int64_t begun = s_.beginnings.count * s_.beginnings.tokens;
    TurnBeginnings(group);
    float* sum = norms + FirstHead(group) * 4 * s_.dim;
    // Of beginnings, sums over all that go on from them stand where the gradients go.
    for (int64_t t = 0; t < begun; t++) {
      std::fill_n(dk + t * narrow_ + group * s_.dim, s_.dim, 0.0f);
      std::fill_n(dv + t * narrow_ + group * s_.dim, s_.dim, 0.0f);
    }
    for (const Sequences* of : {&s_.beginnings, &s_.rest}) {
      for (int64_t i = 0; i < of->count; i++) {
        const int64_t keys = TakeKeys(*of, i, group);
        RightTiles({key_, s_.dim, keys, s_.dim, true}, key_tiles_);
        RightTiles({value_, s_.dim, keys, s_.dim, true}, value_tiles_);
        RightTiles({key_, s_.dim, s_.dim, keys, false}, key_across_);
        std::fill_n(dkey_, Padded(keys) * room_, 0.0f);
        std::fill_n(dvalue_, Padded(keys) * room_, 0.0f);
        for (int64_t head = FirstHead(group); head < FirstHead(group + 1); head++) {
          float* of_head = norms + head * 4 * s_.dim;
          for (int64_t from = 0; from < of->tokens; from += kQueries)
            MixBack(*of, i, from, head, keys, out, sums, dout, dq, of_head);
        }
        GiveKeys(*of, i, group, dk, dv, sum);
      }
    }
    std::vector<float> turned(s_.dim);
    for (int64_t t = 0; t < begun; t++)
      KeyBack(s_.beginnings, t / s_.beginnings.tokens, t, group, dk, turned.data(), sum);
  }

 private:
  int64_t FirstHead(int64_t group) const { return group * (s_.heads / s_.groups); }

  // Where a token of a sequence stands in its tables.
  static int64_t TableOf(const Sequences& of, int64_t i, int64_t token, int64_t dim) {
    return i * of.table + token * dim;
  }

  void TurnBeginnings(int64_t group) {
    const Sequences& of = s_.beginnings;
    for (int64_t i = 0; i < of.count; i++) {
      for (int64_t t = 0; t < of.tokens; t++) {
        const int64_t token = i * of.tokens + t, at = TableOf(of, i, t, s_.dim);
        begun_moments_[token] =
            keys_(k_ + token * narrow_ + group * s_.dim, of.cos + at, of.sin + at, begun_ + token * s_.dim);
      }
    }
  }

  // Turned keys, and values, of what a sequence sees. @returns how many
  int64_t TakeKeys(const Sequences& of, int64_t i, int64_t group) {
    const int64_t shared = s_.Shared(of), bytes = s_.dim * sizeof(float);
    const int64_t begun = shared > 0 ? s_.owner[i] * shared : i * of.tokens;
    if (shared > 0 || &of == &s_.beginnings) {
      const int64_t count = shared > 0 ? shared : of.tokens;
      std::memcpy(key_, begun_ + begun * s_.dim, count * bytes);
      for (int64_t t = 0; t < count; t++)
        std::memcpy(value_ + t * s_.dim, v_ + (begun + t) * narrow_ + group * s_.dim, bytes);
      if (shared == 0) return count;
    }
    for (int64_t t = 0; t < of.tokens; t++) {
      const int64_t from = (of.first + i * of.tokens + t) * narrow_ + group * s_.dim, at = TableOf(of, i, t, s_.dim);
      key_moments_[t] = keys_(k_ + from, of.cos + at, of.sin + at, key_ + (shared + t) * s_.dim);
      std::memcpy(value_ + (shared + t) * s_.dim, v_ + from, bytes);
    }
    return shared + of.tokens;
  }

  // Gradients of turned keys, and of values, go where they belong.
  void GiveKeys(const Sequences& of, int64_t i, int64_t group, float* dk, float* dv, float* sums) {
    const bool begins = &of == &s_.beginnings;
    const int64_t shared = begins ? of.tokens : s_.Shared(of), from = begins ? i : shared > 0 ? s_.owner[i] : 0;
    const int64_t begun = from * shared;
    for (int64_t t = 0; t < shared; t++) {
      float* key = dk + (begun + t) * narrow_ + group * s_.dim;
      float* value = dv + (begun + t) * narrow_ + group * s_.dim;
#pragma omp simd
      for (int64_t d = 0; d < s_.dim; d++) {
        key[d] += dkey_[t * room_ + d];
        value[d] += dvalue_[t * room_ + d];
      }
    }
    for (int64_t t = 0; t < (begins ? 0 : of.tokens); t++) {
      const int64_t token = of.first + i * of.tokens + t, to = token * narrow_ + group * s_.dim;
      std::memcpy(dv + to, dvalue_ + (shared + t) * room_, s_.dim * sizeof(float));
      const int64_t at = TableOf(of, i, t, s_.dim);
      keys_.Back(k_ + to, key_moments_[t], of.cos + at, of.sin + at, dkey_ + (shared + t) * room_, dk + to,
                 sums + 2 * s_.dim, sums + 3 * s_.dim);
    }
  }

  // The same of a beginning's token, all of whose sums are there.
  void KeyBack(const Sequences& of, int64_t i, int64_t token, int64_t group, float* dk, float* turned, float* sums) {
    const int64_t to = token * narrow_ + group * s_.dim, at = TableOf(of, i, token - i * of.tokens, s_.dim);
    std::memcpy(turned, dk + to, s_.dim * sizeof(float));
    keys_.Back(k_ + to, begun_moments_[token], of.cos + at, of.sin + at, turned, dk + to, sums + 2 * s_.dim,
               sums + 3 * s_.dim);
  }

  // Turned queries of a block, in tiles. @returns how many
  int64_t TakeQueries(const Sequences& of, int64_t i, int64_t from, int64_t head) {
    const int64_t count = std::min(kQueries, of.tokens - from);
    for (int64_t t = 0; t < count; t++) {
      const int64_t token = of.first + i * of.tokens + from + t, at = TableOf(of, i, from + t, s_.dim);
      query_moments_[t] = queries_(q_ + token * width_ + head * s_.dim, of.cos + at, of.sin + at, query_ + t * s_.dim);
    }
    LeftTiles({query_, s_.dim, count, s_.dim, true}, query_tiles_);
    return count;
  }

  void Mix(const Sequences& of, int64_t i, int64_t from, int64_t head, int64_t keys, float* out, float* sums) {
    const int64_t count = TakeQueries(of, i, from, head), stride = Padded(keys);
    TileProduct(query_tiles_, key_tiles_, count, keys, s_.dim, scores_, stride, false);
    float share[kQueries];
    for (int64_t t = 0; t < count; t++) {
      float* row = scores_ + t * stride;
      const float top = MaskedScores(row, scale_, of.MaskOf(i, from + t), keys, row);
      share[t] = 1.0f / ExpSum(row, top, keys, row);
      float* kept = sums + ((of.first + i * of.tokens + from + t) * s_.heads + head) * 2;
      kept[0] = top;
      kept[1] = share[t];
    }
    LeftTiles({scores_, stride, count, keys, true}, score_tiles_);
    TileProduct(score_tiles_, value_tiles_, count, s_.dim, keys, mixed_, room_, false);
    for (int64_t t = 0; t < count; t++) {
      float* to = out + (of.first + i * of.tokens + from + t) * width_ + head * s_.dim;
#pragma omp simd
      for (int64_t d = 0; d < s_.dim; d++) to[d] = mixed_[t * room_ + d] * share[t];
    }
  }

  void MixBack(const Sequences& of, int64_t i, int64_t from, int64_t head, int64_t keys, const float* out,
               const float* sums, const float* dout, float* dq, float* norms) {
    const int64_t count = TakeQueries(of, i, from, head), stride = Padded(keys);
    const int64_t first = of.first + i * of.tokens + from;
    TileProduct(query_tiles_, key_tiles_, count, keys, s_.dim, scores_, stride, false);
    const float* up = dout + first * width_ + head * s_.dim;
    LeftTiles({up, width_, count, s_.dim, true}, up_tiles_);
    TileProduct(up_tiles_, value_tiles_, count, keys, s_.dim, slopes_, stride, false);
    for (int64_t t = 0; t < count; t++) {
      const float* kept = sums + ((first + t) * s_.heads + head) * 2;
      const float *mixed = out + (first + t) * width_ + head * s_.dim, *to = up + t * width_;
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t d = 0; d < s_.dim; d++) dot += mixed[d] * to[d];
      Slopes(scores_ + t * stride, slopes_ + t * stride, of.MaskOf(i, from + t), keys, kept, dot);
    }
    LeftTiles({scores_, stride, keys, count, false}, score_across_);
    RightTiles({up, width_, s_.dim, count, false}, up_across_);
    TileProduct(score_across_, up_across_, keys, s_.dim, count, dvalue_, room_, true);
    LeftTiles({slopes_, stride, keys, count, false}, score_across_);
    RightTiles({query_, s_.dim, s_.dim, count, false}, query_across_);
    TileProduct(score_across_, query_across_, keys, s_.dim, count, dkey_, room_, true);
    LeftTiles({slopes_, stride, count, keys, true}, score_tiles_);
    TileProduct(score_tiles_, key_across_, count, s_.dim, keys, mixed_, room_, false);
    for (int64_t t = 0; t < count; t++) {
      const int64_t to = (first + t) * width_ + head * s_.dim, at = TableOf(of, i, from + t, s_.dim);
      queries_.Back(q_ + to, query_moments_[t], of.cos + at, of.sin + at, mixed_ + t * room_, dq + to, norms,
                    norms + s_.dim);
    }
  }

  // Scores become probabilities, and gradients of those the gradients of what stands before scaling.
  void Slopes(float* scores, float* slopes, const float* mask, int64_t keys, const float* kept, float dot) const {
    MaskedScores(scores, scale_, mask, keys, scores);
    ExpSum(scores, kept[0], keys, scores);
    const float share = kept[1], scale = scale_;
#pragma omp simd
    for (int64_t j = 0; j < keys; j++) {
      scores[j] *= share;
      slopes[j] = scores[j] * (slopes[j] - dot) * scale;
    }
  }

  const Layout& s_;
  const Turn queries_, keys_;
  const float *q_, *k_, *v_;
  const float scale_;
  const int64_t width_, narrow_, room_;
  int64_t most_;
  std::vector<Moments> begun_moments_, key_moments_;
  Moments query_moments_[kQueries];
  float *begun_, *key_, *value_, *dkey_, *dvalue_, *query_, *mixed_, *scores_, *slopes_;
  uint16_t *key_tiles_, *value_tiles_, *key_across_, *query_tiles_, *query_across_, *up_tiles_, *up_across_;
  uint16_t *score_tiles_, *score_across_;
};

}  // namespace unilab
#endif
