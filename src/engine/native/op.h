// TensorFlow operations through its stable C interface: float tensors in, float tensors out.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"

namespace unilab {

// The numbers that an operation was asked with.
struct Attributes {
  float epsilon = 0;
  float scale = 1;
  int64_t groups = 1;
  int64_t outputs = 0;
  bool adj_x = false, adj_y = false;
};

using Shape = std::vector<int64_t>;

// One run of an operation. Inputs are freed with it.
class Call {
 public:
  Call(TF_OpKernelContext* context, const Attributes& attributes);
  ~Call();
  const float* Floats(int input) const;
  const int32_t* Ints(int input) const;
  // An input's own numbers, to be changed in place: of operations that say so in their definition.
  float* Written(int input) const;
  int64_t Size(int input) const;
  Shape ShapeOf(int input) const;
  // Allocates an output; nullptr when there is no memory (then the run has failed).
  float* Output(int index, const Shape& shape);
  int32_t* IntsOutput(int index, const Shape& shape);
  // Ends the run with an error for people.
  void Fail(const std::string& message);

  const Attributes& attributes;

 private:
  void* Allocated(int index, TF_DataType type, const Shape& shape);

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> inputs_;
  std::vector<TF_Tensor*> outputs_;
};

// What TensorFlow calls to run an operation that computes by `compute`.
template <void (*compute)(Call&)>
void Run(void* attributes, TF_OpKernelContext* context) {
  Call call(context, *static_cast<const Attributes*>(attributes));
  compute(call);
}

struct Definition {
  const char* name;
  std::vector<const char*> inputs;      // such as "x: float"
  std::vector<const char*> outputs;     // such as "y: float"
  std::vector<const char*> attributes;  // "epsilon: float", "scale: float", "groups: int", "outputs: int", "adj_x: bool" or "adj_y: bool"
  void (*run)(void* attributes, TF_OpKernelContext* context);
  bool writes = false;  // It changes an input in place: it is neither left out, nor merged with another one.
};

// Registers an operation and its CPU kernel. Returns an error message, empty when it worked.
std::string Register(const Definition& definition);

// The operations of each file.
std::vector<Definition> ActivationOps();
std::vector<Definition> AttendOps();
std::vector<Definition> BegunOps();
std::vector<Definition> CacheOps();
std::vector<Definition> DecoderOps();
std::vector<Definition> DrawOps();
std::vector<Definition> FewRowsOps();
std::vector<Definition> NormOps();
std::vector<Definition> OptimizerOps();
std::vector<Definition> ProductOps();
std::vector<Definition> SoftmaxOps();

}  // namespace unilab
