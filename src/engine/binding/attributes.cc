// Added to tfjs_backend.cc before it reads an operation's attributes: a string may be given as bytes, which need not be
// text (a serialized message, say).
static napi_status GetBytesOrString(napi_env env, napi_value value, std::string &found) {
  bool is_bytes;
  napi_status nstatus = napi_is_typedarray(env, value, &is_bytes);
  if (nstatus != napi_ok || !is_bytes) return GetStringParam(env, value, found);
  size_t length;
  void *bytes;
  nstatus = napi_get_typedarray_info(env, value, nullptr, &length, &bytes, nullptr, nullptr);
  if (nstatus == napi_ok) found.assign(static_cast<const char *>(bytes), length);
  return nstatus;
}
