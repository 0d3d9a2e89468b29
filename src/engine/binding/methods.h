// Added to the class TFJSBackend: see functions.cc.
  napi_value RegisterFunction(napi_env env, napi_value name_value, napi_value graph_value, napi_value inputs_value,
                              napi_value outputs_value, napi_value controls_value);
  void RemoveFunction(napi_env env, napi_value name_value);
  napi_value DescribeTensor(napi_env env, napi_value id_value);
