// The Node addon: loading it registers UniLab's operations with the TensorFlow that runs in this process.
#include <node_api.h>

#include "op.h"

// Exports `operations`, the names of what is registered.
NAPI_MODULE_INIT() {
  static std::string problem;
  static std::vector<std::string> names;
  if (names.empty()) {
    for (const auto& ops :
         {unilab::ActivationOps(), unilab::AttendOps(), unilab::BegunOps(), unilab::CacheOps(), unilab::DecoderOps(),
          unilab::DrawOps(), unilab::FewRowsOps(), unilab::NormOps(), unilab::OptimizerOps(), unilab::ProductOps(),
          unilab::SoftmaxOps()}) {
      for (const auto& definition : ops) {
        if (problem.empty()) problem = unilab::Register(definition);
        names.push_back(definition.name);
      }
    }
  }
  if (!problem.empty()) napi_throw_error(env, nullptr, problem.c_str());
  napi_value list;
  napi_create_array(env, &list);
  for (size_t i = 0; i < names.size(); i++) {
    napi_value name;
    napi_create_string_utf8(env, names[i].c_str(), names[i].size(), &name);
    napi_set_element(env, list, static_cast<uint32_t>(i), name);
  }
  napi_set_named_property(env, exports, "operations", list);
  return exports;
}
