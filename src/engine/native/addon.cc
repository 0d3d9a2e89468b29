// The Node addon: loading it registers UniLab's operations with the TensorFlow that runs in this process.
#include <node_api.h>

#include "op.h"

NAPI_MODULE_INIT() {
  static std::string problem;
  static bool done = false;
  if (!done) {
    done = true;
    for (const auto& ops : {unilab::ActivationOps(), unilab::NormOps(), unilab::SoftmaxOps()}) {
      for (const auto& definition : ops) {
        if (problem.empty()) problem = unilab::Register(definition);
      }
    }
  }
  if (!problem.empty()) napi_throw_error(env, nullptr, problem.c_str());
  return exports;
}
