#include "server/metrics_port.h"

#include <utility>

#include "base/digest.h"
#include "server/options.h"
#include "server/prometheus_text.h"
#include "signaling/api.h"
#include "signaling/assets.h"

namespace turnpike::server {

using signaling::http::Method;
using signaling::http::Request;
using signaling::http::Response;
using signaling::http::text_response;

MetricsPort::MetricsPort(net::Loop& loop, std::unique_ptr<net::TcpListener> listener,
                         std::string token, Sources sources)
    : loop_(loop),
      listener_(std::move(listener)),
      token_(std::move(token)),
      sources_(std::move(sources)),
      carrier_({}, *this),
      stats_({carrier_, sources_.history, sources_.pass, version(), sources_.run}),
      connections_(carrier_, {loop}) {}

void MetricsPort::start() {
  listener_->start(
      loop_, [this](int fd) { connections_.take(net::Stream::accept(loop_, fd, nullptr), {}); });
}

void MetricsPort::on_request(Tick now, signaling::ConnectionHandle connection,
                             const signaling::Visit& visit) {
  if (StatsDesk::handles(visit.request.path())) return stats_.on_request(now, connection, visit);
  Response response = answer(visit.request);
  if (response.borrowed.empty() && response.status != 304) response.no_store = true;
  carrier_.respond(connection, response);
}

Response MetricsPort::answer(const Request& request) const {
  if (request.method != Method::kGet && request.method != Method::kHead) {
    Response response = text_response(405, "only GET\n");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
  }
  if (request.path() == "/healthz" || request.path() == "/readyz") {
    return signaling::health_response(sources_.health(), request.path());
  }
  constexpr std::string_view kAssets = "/assets/";
  if (request.path().starts_with(kAssets)) {
    const auto* asset = signaling::find_asset(request.path().substr(kAssets.size()));
    if (asset != nullptr) return signaling::asset_response(request, *asset);
  }
  if (request.path() != "/metrics") return text_response(404, "look at /metrics or /stats\n");
  const std::string proof = signaling::bearer_proof(request, {});
  if (!token_.empty() &&
      !equal_in_constant_time(sha256(as_bytes(token_)), sha256(as_bytes(proof)))) {
    Response response = text_response(401, "this needs the token of --prometheus-token\n");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  Response response;
  response.content_type = PrometheusText::kContentType;
  const bool coturn = request.query() == "compat=coturn";
  response.body = coturn ? sources_.coturn_metrics() : sources_.metrics();
  return response;
}

}  // namespace turnpike::server
