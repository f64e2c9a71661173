// What /healthz and /readyz answer, on the public ports and on the one for monitoring. Values only.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "signaling/response.h"

namespace turnpike::signaling {

// Each is empty when all is well, else one clause that says what is not.
struct Health {
  std::string stuck;      // the process should be restarted: /healthz answers 503
  std::string not_ready;  // nobody new should be sent here: /readyz does
};
using HealthCheck = std::function<Health()>;

// `path` is "/healthz" or "/readyz".
inline http::Response health_response(const Health& health, std::string_view path) {
  std::string why = health.stuck;
  if (why.empty() && path == "/readyz") why = health.not_ready;
  http::Response response =
      why.empty() ? http::text_response(200, "ok\n") : http::text_response(503, why + "\n");
  response.no_store = true;
  return response;
}

}  // namespace turnpike::signaling
