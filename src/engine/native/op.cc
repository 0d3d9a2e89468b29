#include "op.h"

namespace unilab {
namespace {

void* Create(TF_OpKernelConstruction* construction) {
  auto* attributes = new Attributes;
  TF_Status* status = TF_NewStatus();
  // An attribute that the operation does not have leaves its default.
  Attributes read;
  TF_OpKernelConstruction_GetAttrFloat(construction, "epsilon", &read.epsilon, status);
  if (TF_GetCode(status) == TF_OK) attributes->epsilon = read.epsilon;
  TF_OpKernelConstruction_GetAttrFloat(construction, "scale", &read.scale, status);
  if (TF_GetCode(status) == TF_OK) attributes->scale = read.scale;
  int64_t groups = 1;
  TF_OpKernelConstruction_GetAttrInt64(construction, "groups", &groups, status);
  if (TF_GetCode(status) == TF_OK) attributes->groups = groups;
  int64_t outputs = 0;
  TF_OpKernelConstruction_GetAttrInt64(construction, "outputs", &outputs, status);
  if (TF_GetCode(status) == TF_OK) attributes->outputs = outputs;
  unsigned char flag = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, "adj_x", &flag, status);
  if (TF_GetCode(status) == TF_OK) attributes->adj_x = flag;
  TF_OpKernelConstruction_GetAttrBool(construction, "adj_y", &flag, status);
  if (TF_GetCode(status) == TF_OK) attributes->adj_y = flag;
  TF_DeleteStatus(status);
  return attributes;
}

void UnknownShape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

void Delete(void* attributes) { delete static_cast<Attributes*>(attributes); }

}  // namespace

Call::Call(TF_OpKernelContext* context, const Attributes& given)
    : attributes(given), context_(context), status_(TF_NewStatus()) {
  const int count = TF_NumInputs(context);
  for (int i = 0; i < count; i++) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context, i, &tensor, status_);
    inputs_.push_back(tensor);
  }
}

Call::~Call() {
  for (TF_Tensor* tensor : inputs_) TF_DeleteTensor(tensor);
  for (TF_Tensor* tensor : outputs_) TF_DeleteTensor(tensor);
  TF_DeleteStatus(status_);
}

const float* Call::Floats(int input) const { return static_cast<const float*>(TF_TensorData(inputs_[input])); }

const int32_t* Call::Ints(int input) const { return static_cast<const int32_t*>(TF_TensorData(inputs_[input])); }

float* Call::Written(int input) const { return static_cast<float*>(TF_TensorData(inputs_[input])); }

int64_t Call::Size(int input) const { return TF_TensorElementCount(inputs_[input]); }

Shape Call::ShapeOf(int input) const {
  Shape shape;
  for (int axis = 0; axis < TF_NumDims(inputs_[input]); axis++) shape.push_back(TF_Dim(inputs_[input], axis));
  return shape;
}

float* Call::Output(int index, const Shape& shape) { return static_cast<float*>(Allocated(index, TF_FLOAT, shape)); }

int32_t* Call::IntsOutput(int index, const Shape& shape) {
  return static_cast<int32_t*>(Allocated(index, TF_INT32, shape));
}

// Both types take four bytes.
void* Call::Allocated(int index, TF_DataType type, const Shape& shape) {
  size_t bytes = sizeof(float);
  for (int64_t size : shape) bytes *= size;
  const int axes = static_cast<int>(shape.size());
  TF_Tensor* tensor = TF_AllocateOutput(context_, index, type, shape.data(), axes, bytes, status_);
  if (TF_GetCode(status_) != TF_OK) {
    TF_OpKernelContext_Failure(context_, status_);
    return nullptr;
  }
  outputs_.push_back(tensor);
  return TF_TensorData(tensor);
}

void Call::Fail(const std::string& message) {
  TF_SetStatus(status_, TF_INVALID_ARGUMENT, message.c_str());
  TF_OpKernelContext_Failure(context_, status_);
}

std::string Register(const Definition& definition) {
  TF_Status* status = TF_NewStatus();
  TF_OpDefinitionBuilder* op = TF_NewOpDefinitionBuilder(definition.name);
  for (const char* input : definition.inputs) TF_OpDefinitionBuilderAddInput(op, input);
  for (const char* output : definition.outputs) TF_OpDefinitionBuilderAddOutput(op, output);
  for (const char* attribute : definition.attributes) TF_OpDefinitionBuilderAddAttr(op, attribute);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(op, &UnknownShape);
  TF_OpDefinitionBuilderSetIsStateful(op, definition.writes);
  TF_RegisterOpDefinition(op, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* kernel = TF_NewKernelBuilder(definition.name, "CPU", &Create, definition.run, &Delete);
    TF_RegisterKernelBuilder(definition.name, kernel, status);
  }
  std::string problem = TF_GetCode(status) == TF_OK ? "" : TF_Message(status);
  TF_DeleteStatus(status);
  return problem;
}

}  // namespace unilab
