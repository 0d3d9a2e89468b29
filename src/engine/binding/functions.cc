// Added to tfjs-node's binding when it is compiled: graphs made in JavaScript become functions of the eager context,
// which `executeOp` then runs by name. Only TensorFlow's stable C interface is used. This file is included at the end
// of tfjs_backend.cc, whose macros and helpers it uses.
namespace tfnodejs {
namespace {

// "node:0,node:1" as the graph's outputs; what names no output means the first.
bool FindOutputs(napi_env env, TF_Graph *graph, const std::string &names, std::vector<TF_Output> *found) {
  size_t at = 0;
  while (at < names.size()) {
    size_t end = names.find(',', at);
    if (end == std::string::npos) end = names.size();
    const std::string name = names.substr(at, end - at);
    const size_t colon = name.find(':');
    TF_Operation *op = TF_GraphOperationByName(graph, name.substr(0, colon).c_str());
    if (op == nullptr) {
      NAPI_THROW_ERROR(env, "The graph has no node '%s'", name.c_str());
      return false;
    }
    found->push_back({op, colon == std::string::npos ? 0 : atoi(name.c_str() + colon + 1)});
    at = end + 1;
  }
  return true;
}

void ImportGraph(TF_Graph *graph, const void *bytes, size_t length, TF_Status *status) {
  TF_Buffer *buffer = TF_NewBufferFromString(bytes, length);
  TF_ImportGraphDefOptions *options = TF_NewImportGraphDefOptions();
  TF_GraphImportGraphDef(graph, buffer, options, status);
  TF_DeleteImportGraphDefOptions(options);
  TF_DeleteBuffer(buffer);
}

}  // namespace

napi_value TFJSBackend::RegisterFunction(napi_env env, napi_value name_value, napi_value graph_value,
                                         napi_value inputs_value, napi_value outputs_value,
                                         napi_value controls_value) {
  std::string name, inputs, outputs, controls;
  for (const auto &text : {std::make_pair(name_value, &name), std::make_pair(inputs_value, &inputs),
                           std::make_pair(outputs_value, &outputs), std::make_pair(controls_value, &controls)}) {
    napi_status nstatus = GetStringParam(env, text.first, *text.second);
    ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
  }
  napi_typedarray_type array_type;
  size_t length;
  void *bytes;
  napi_status nstatus = napi_get_typedarray_info(env, graph_value, &array_type, &length, &bytes, nullptr, nullptr);
  ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);

  TF_AutoStatus tf_status;
  std::unique_ptr<TF_Graph, decltype(&TF_DeleteGraph)> graph(TF_NewGraph(), TF_DeleteGraph);
  ImportGraph(graph.get(), bytes, length, tf_status.status);
  ENSURE_TF_OK_RETVAL(env, tf_status, nullptr);

  std::vector<TF_Output> from, to, last;
  if (!FindOutputs(env, graph.get(), inputs, &from) || !FindOutputs(env, graph.get(), outputs, &to) ||
      !FindOutputs(env, graph.get(), controls, &last)) {
    return nullptr;
  }
  std::vector<const TF_Operation *> ends;
  for (const TF_Output &output : last) ends.push_back(output.oper);
  TF_Function *function = TF_GraphToFunctionWithControlOutputs(
      graph.get(), name.c_str(), 0, -1, nullptr, static_cast<int>(from.size()), from.data(),
      static_cast<int>(to.size()), to.data(), nullptr, static_cast<int>(ends.size()), ends.data(), nullptr, nullptr,
      nullptr, tf_status.status);
  ENSURE_TF_OK_RETVAL(env, tf_status, nullptr);
  TFE_ContextAddFunction(tfe_context_, function, tf_status.status);
  TF_DeleteFunction(function);
  ENSURE_TF_OK_RETVAL(env, tf_status, nullptr);
  return nullptr;
}

void TFJSBackend::RemoveFunction(napi_env env, napi_value name_value) {
  std::string name;
  napi_status nstatus = GetStringParam(env, name_value, name);
  ENSURE_NAPI_OK(env, nstatus);
  TF_AutoStatus tf_status;
  TFE_ContextRemoveFunction(tfe_context_, name.c_str(), tf_status.status);
  ENSURE_TF_OK(env, tf_status);
}

// What a handle holds: { shape, dtype }.
napi_value TFJSBackend::DescribeTensor(napi_env env, napi_value id_value) {
  int32_t id;
  napi_status nstatus = napi_get_value_int32(env, id_value, &id);
  ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
  const auto entry = tfe_handle_map_.find(id);
  if (entry == tfe_handle_map_.end()) {
    NAPI_THROW_ERROR(env, "There is no tensor with the id %d", id);
    return nullptr;
  }
  napi_value described, shape, dtype;
  nstatus = napi_create_object(env, &described);
  ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
  GetTFE_TensorHandleShape(env, entry->second, &shape);
  GetTFE_TensorHandleType(env, entry->second, &dtype);
  nstatus = napi_set_named_property(env, described, "shape", shape);
  ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
  nstatus = napi_set_named_property(env, described, "dtype", dtype);
  ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
  return described;
}

}  // namespace tfnodejs
