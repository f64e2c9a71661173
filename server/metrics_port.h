// MetricsPort: a small HTTP server of its own for whoever watches this one: /metrics (our names,
// ?compat=coturn for coturn's), /stats with its assets, /healthz and /readyz. Never on a port that
// clients know. Lives on the main loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "net/loop.h"
#include "net/tcp_listener.h"
#include "server/descriptors.h"
#include "server/hub_loop.h"
#include "server/stats_desk.h"
#include "signaling/carrier.h"
#include "signaling/health.h"

namespace turnpike::server {

class MetricsPort final : private signaling::Routes {
 public:
  struct Sources {
    std::function<std::string()> metrics;
    std::function<std::string()> coturn_metrics;
    std::function<signaling::Health()> health;
    const History& history;
    StatsPass& pass;
    std::string_view run;  // StatsDesk's
  };
  // `token` is asked for as `Authorization: Bearer`; empty: nothing is asked.
  MetricsPort(net::Loop& loop, std::unique_ptr<net::TcpListener> listener, std::string token,
              Sources sources);

  void start();
  void shut_down(std::function<void()> done) { connections_.shut_down(std::move(done)); }
  const Address& address() const { return listener_->local(); }
  // For an audit: of its listener and its connections; of `local` only the spare one.
  Descriptors descriptors() {
    return {.listening = 1,
            .connected = connections_.connections(),
            .local = listener_->has_spare() ? 1u : 0u};
  }

 private:
  void on_request(Tick now, signaling::ConnectionHandle connection,
                  const signaling::Visit& visit) override;
  signaling::http::Response answer(const signaling::http::Request& request) const;

  net::Loop& loop_;
  const std::unique_ptr<net::TcpListener> listener_;
  const std::string token_;
  const Sources sources_;
  signaling::Carrier carrier_;
  StatsDesk stats_;
  HubLoop connections_;
};

}  // namespace turnpike::server
