// StatsDesk: what is below /stats on one carrier: the page, its session, and the History as
// server-sent events (docs/operations.md#the-dashboard). A listener is told the rows that it has
// not seen, the last hour to begin with, then each new one, which is its heartbeat as well.
//
//   GET    /stats          the page, for everybody: there is nothing in it
//   GET    /stats/session  204 for whoever may look, else 401
//   POST   /stats/session  a token for a cookie
//   DELETE /stats/session  forgets it
//   GET    /stats/events   text/event-stream
//
// The carrier's thread, which is the main loop's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/random.h"
#include "server/history.h"
#include "server/stats_pass.h"
#include "signaling/carrier.h"

namespace turnpike::server {

class StatsDesk final : public signaling::Endpoint {
 public:
  static constexpr std::size_t kMaxListeners = 16;
  // Rows in a time in which nothing of what waits for a listener was taken: then it is cut.
  static constexpr std::uint32_t kMaxUnread = 6;
  static constexpr milliseconds kRetry{3000};  // for EventSource

  // kMonitoring: a port for those who watch the server. kPublic: one that everybody knows, where a
  // token crosses the network in TLS alone.
  enum class Port : std::uint8_t { kMonitoring, kPublic };
  struct Parts {
    signaling::Carrier& carrier;
    const History& history;
    StatsPass& pass;
    std::string_view version;
    std::string_view run;  // names this run of the server: rows of another are others
    Port port = Port::kMonitoring;
  };
  explicit StatsDesk(Parts parts);

  static bool handles(std::string_view path);
  void on_request(Tick now, signaling::ConnectionHandle connection, const signaling::Visit& visit);

 private:
  using Response = signaling::http::Response;
  struct Listener {
    signaling::ConnectionHandle connection;
    std::uint64_t next = 0;  // row
    std::size_t waiting = 0;
    std::uint32_t unread = 0;  // rows that were sent while nothing was taken
  };

  // Endpoint
  std::size_t max_message() const override { return 0; }
  Tag on_open(Tick, signaling::ConnectionHandle, const signaling::Visit&) override { return 0; }
  void on_message(Tick, signaling::ConnectionHandle, Tag, signaling::ws::Opcode,
                  std::string_view) override {}
  void on_gone(Tick, signaling::ConnectionHandle, Tag tag) override { listeners_.erase(tag); }
  void on_time(Tick now) override;
  MonoTime next_deadline() const override;

  Response session(Tick now, const signaling::Visit& visit);
  void listen(Tick now, signaling::ConnectionHandle connection, const signaling::Visit& visit);
  std::string rows(std::uint64_t from) const;
  std::uint64_t first_unseen(std::string_view last_id) const;

  const Parts parts_;
  std::map<Tag, Listener> listeners_;
  Tag last_tag_ = 0;
  std::uint64_t told_ = 0;  // rows up to here
};

}  // namespace turnpike::server
