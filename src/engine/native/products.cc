// Products of two float32 matrices, rounded to bfloat16 and summed in float32, on the processor's matrix unit. Each
// number is summed in one order, whatever the number of threads and of rows.
#include "products.h"

#include "op.h"

#ifdef UNILAB_TILES
#include <sys/syscall.h>
#include <unistd.h>

namespace unilab {

bool TilesAllowed() {
  constexpr int kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool allowed = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return allowed;
}

namespace {

// Rows of whatever stands above the last axis.
Shape AsMatrix(const Call& call, int input) {
  const int64_t columns = call.ShapeOf(input).back();
  return {columns > 0 ? call.Size(input) / columns : 0, columns};
}

// The shape of an input with another last axis.
Shape WithLast(const Call& call, int input, int64_t columns) {
  Shape shape = call.ShapeOf(input);
  shape.back() = columns;
  return shape;
}

// a, b -> op(a) op(b), where op transposes what `adj_x` and `adj_y` say. What has more axes is taken as its rows.
void Product(Call& call) {
  const Shape left = AsMatrix(call, 0), right = AsMatrix(call, 1);
  const bool across = call.attributes.adj_x, along = call.attributes.adj_y;
  const Factor a{call.Floats(0), left[1], left[across], left[!across], !across};
  const Factor b{call.Floats(1), right[1], right[!along], right[along], along};
  if (a.inner != b.inner) {
    return call.Fail("matrices with " + std::to_string(a.inner) + " columns and " + std::to_string(b.inner) +
                     " rows cannot be multiplied");
  }
  float* y = call.Output(0, across ? Shape{a.outer, b.outer} : WithLast(call, 0, b.outer));
  if (!y) return;
  if (a.along && b.along && a.outer <= kFewRows) {
    FewRows(a, b, nullptr, y);
  } else {
    Multiply(a, b, nullptr, y);
  }
}

// x [.., inner], w [outputs, inner], bias [outputs] -> x w^T + bias. The sums begin with the bias.
void Linear(Call& call) {
  const Shape left = AsMatrix(call, 0), right = call.ShapeOf(1);
  const Factor x{call.Floats(0), left[1], left[0], left[1], true};
  const Factor w{call.Floats(1), right[1], right[0], right[1], true};
  if (x.inner != w.inner || call.Size(2) != w.outer) {
    return call.Fail("a linear map of " + std::to_string(w.inner) + " to " + std::to_string(w.outer) +
                     " numbers cannot be applied to rows of " + std::to_string(x.inner) + ", or with " +
                     std::to_string(call.Size(2)) + " biases");
  }
  float* y = call.Output(0, WithLast(call, 0, w.outer));
  if (!y) return;
  if (x.outer <= kFewRows) {
    FewRows(x, w, call.Floats(2), y);
  } else {
    Multiply(x, w, call.Floats(2), y);
  }
}

// dy [.., outputs], x [.., inner] -> the gradients of the weight, dy^T x, and of the bias, summed while dy is packed.
void LinearGrad(Call& call) {
  const Shape slopes = AsMatrix(call, 0), given = AsMatrix(call, 1);
  if (slopes[0] != given[0]) {
    return call.Fail("gradients of " + std::to_string(slopes[0]) + " rows do not belong to " + std::to_string(given[0]));
  }
  const Factor dy{call.Floats(0), slopes[1], slopes[1], slopes[0], false};
  const Factor x{call.Floats(1), given[1], given[1], given[0], false};
  float* weight = call.Output(0, {dy.outer, x.outer});
  float* bias = call.Output(1, {dy.outer});
  if (!weight || !bias) return;
  Multiply(dy, x, nullptr, weight, bias);
}

}  // namespace

std::vector<Definition> ProductOps() {
  if (!TilesAllowed()) return {};
  return {
      {"UnilabProduct", {"a: float", "b: float"}, {"y: float"}, {"adj_x: bool", "adj_y: bool"}, &Run<Product>},
      {"UnilabLinear", {"x: float", "w: float", "bias: float"}, {"y: float"}, {}, &Run<Linear>},
      {"UnilabLinearGrad", {"dy: float", "x: float"}, {"dw: float", "dbias: float"}, {}, &Run<LinearGrad>},
  };
}

}  // namespace unilab

#else

namespace unilab {

std::vector<Definition> ProductOps() { return {}; }

}  // namespace unilab
#endif
