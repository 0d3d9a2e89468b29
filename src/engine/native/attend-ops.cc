// Attention of projections: the two operations.
#include "attend-heads.h"

#include "op.h"

#ifdef UNILAB_TILES
#include <omp.h>

#include <algorithm>

namespace unilab {
namespace {

thread_local Arena arena;

// See Layout -> out [tokens, heads * dim], what the gradient needs of every query [tokens, heads, 2]
void Attention(Call& call) {
  const Layout layout(call);
  if (!layout.problem.empty()) return call.Fail(layout.problem);
  float* out = call.Output(0, call.ShapeOf(0));
  float* sums = call.Output(1, {layout.tokens, layout.heads, 2});
  if (!out || !sums) return;
#pragma omp parallel if (call.Size(0) > kSmall)
  {
    const TileUse use;
    HeadWorker worker(call, layout, arena);
#pragma omp for schedule(dynamic)
    for (int64_t group = 0; group < layout.groups; group++) worker.Forward(group, out, sums);
  }
}

// The same, out, what was kept, dout -> gradients of q, k, v and of the four weights of norms
void AttentionGrad(Call& call) {
  const Layout layout(call);
  if (!layout.problem.empty()) return call.Fail(layout.problem);
  float *dq = call.Output(0, call.ShapeOf(0)), *dk = call.Output(1, call.ShapeOf(1));
  float* dv = call.Output(2, call.ShapeOf(2));
  float* weights[4];
  for (int i = 0; i < 4; i++) weights[i] = call.Output(3 + i, call.ShapeOf(3 + i));
  if (!dq || !dk || !dv || !weights[0] || !weights[1] || !weights[2] || !weights[3]) return;
  std::vector<float> norms(layout.heads * 4 * layout.dim, 0.0f);
#pragma omp parallel if (call.Size(0) > kSmall)
  {
    const TileUse use;
    HeadWorker worker(call, layout, arena);
#pragma omp for schedule(dynamic)
    for (int64_t group = 0; group < layout.groups; group++)
      worker.Backward(group, call.Floats(15), call.Floats(16), call.Floats(17), dq, dk, dv, norms.data());
  }
  for (int i = 0; i < 4; i++) {
    if (call.Size(3 + i) == 0) continue;
    std::fill_n(weights[i], layout.dim, 0.0f);
    for (int64_t head = 0; head < layout.heads; head++) {
      for (int64_t d = 0; d < layout.dim; d++) weights[i][d] += norms[(head * 4 + i) * layout.dim + d];
    }
  }
}

}  // namespace

std::vector<Definition> AttendOps() {
  if (!TilesAllowed()) return {};
  std::vector<const char*> inputs = {"q: float",       "k: float",       "v: float",        "q_gamma: float",
                                     "q_beta: float",  "k_gamma: float", "k_beta: float",   "begun_cos: float",
                                     "begun_sin: float", "begun_mask: float", "cos: float", "sin: float",
                                     "mask: float",    "owner: int32",   "swap: float"};
  const std::vector<const char*> attributes = {"epsilon: float", "scale: float"};
  std::vector<const char*> back = inputs;
  for (const char* more : {"out: float", "sums: float", "dout: float"}) back.push_back(more);
  return {
      {"UnilabAttention", inputs, {"out: float", "sums: float"}, attributes, &Run<Attention>},
      {"UnilabAttentionGrad",
       back,
       {"dq: float", "dk: float", "dv: float", "dq_gamma: float", "dq_beta: float", "dk_gamma: float",
        "dk_beta: float"},
       attributes,
       &Run<AttentionGrad>},
  };
}

}  // namespace unilab

#else

namespace unilab {

std::vector<Definition> AttendOps() { return {}; }

}  // namespace unilab
#endif
