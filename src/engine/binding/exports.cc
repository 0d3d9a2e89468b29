// Added to tfjs_binding.cc, before the binding says what it exports: JavaScript's way to functions.cc.
template <size_t count>
static TFJSBackend *BackendAndArguments(napi_env env, napi_callback_info info, napi_value (&args)[count]) {
  size_t given = count;
  napi_value js_this;
  napi_status nstatus = napi_get_cb_info(env, info, &given, args, &js_this, nullptr);
  ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
  if (given < count) {
    NAPI_THROW_ERROR(env, "%zu arguments are needed, not %zu", count, given);
    return nullptr;
  }
  return GetTFJSBackend(env);
}

// registerFunction(name, graphDef: Uint8Array, inputs, outputs, controls): the last three are lists like "a:0,b:1".
static napi_value RegisterFunction(napi_env env, napi_callback_info info) {
  napi_value args[5];
  TFJSBackend *const backend = BackendAndArguments(env, info, args);
  return backend ? backend->RegisterFunction(env, args[0], args[1], args[2], args[3], args[4]) : nullptr;
}

static napi_value RemoveFunction(napi_env env, napi_callback_info info) {
  napi_value args[1];
  TFJSBackend *const backend = BackendAndArguments(env, info, args);
  if (backend) backend->RemoveFunction(env, args[0]);
  return nullptr;
}

static napi_value DescribeTensor(napi_env env, napi_callback_info info) {
  napi_value args[1];
  TFJSBackend *const backend = BackendAndArguments(env, info, args);
  return backend ? backend->DescribeTensor(env, args[0]) : nullptr;
}

// Whether attributes that are strings may be bytes: a binding of an earlier set-up has no such method.
static napi_value AcceptsBytes(napi_env env, napi_callback_info info) {
  napi_value yes;
  napi_status nstatus = napi_get_boolean(env, true, &yes);
  ENSURE_NAPI_OK_RETVAL(env, nstatus, nullptr);
  return yes;
}

#define UNILAB_EXPORTS                                                                                 \
  {"registerFunction", nullptr, RegisterFunction, nullptr, nullptr, nullptr, napi_default, nullptr},   \
      {"removeFunction", nullptr, RemoveFunction, nullptr, nullptr, nullptr, napi_default, nullptr},   \
      {"acceptsBytes", nullptr, AcceptsBytes, nullptr, nullptr, nullptr, napi_default, nullptr},           \
      {"describeTensor", nullptr, DescribeTensor, nullptr, nullptr, nullptr, napi_default, nullptr},
