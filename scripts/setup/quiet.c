/* A Node addon of two functions: stderr to nowhere, and back. TensorFlow prints lines while its library loads, before
   anything can be said to its logger. */
#include <fcntl.h>
#include <node_api.h>
#include <stdio.h>
#include <unistd.h>

static int kept = -1;

static napi_value mute(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  if (kept >= 0) return NULL;
  int nowhere = open("/dev/null", O_WRONLY);
  if (nowhere < 0) return NULL;
  kept = dup(2);
  if (kept >= 0) dup2(nowhere, 2);
  close(nowhere);
  return NULL;
}

static napi_value unmute(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  if (kept < 0) return NULL;
  fflush(stderr);
  dup2(kept, 2);
  close(kept);
  kept = -1;
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "mute", NAPI_AUTO_LENGTH, mute, NULL, &function) == napi_ok)
    napi_set_named_property(env, exports, "mute", function);
  if (napi_create_function(env, "unmute", NAPI_AUTO_LENGTH, unmute, NULL, &function) == napi_ok)
    napi_set_named_property(env, exports, "unmute", function);
  return exports;
}
