// HookClient: asks the authorisation service (--auth-hook) over HTTP/1.1, plain or inside TLS, for
// all workers. Connections are kept for the next question, kMaxConnections at most; questions wait
// their turn, and each is settled within the time limit, whatever happens. What goes wrong is
// logged once, and then at most twice a minute. Lives on one loop; everything runs on its thread
// except post().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mailbox.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "net/tls_client_context.h"
#include "server/hook_connection.h"
#include "server/hook_protocol.h"

namespace turnpike::server {

class HookClient final : private HookConnection::Owner {
 public:
  static constexpr std::size_t kMaxConnections = 16;
  static constexpr std::size_t kMailboxCapacity = 1024;
  static constexpr std::uint32_t kMaxAttempts = 3;
  static constexpr seconds kIdleTime{30};
  static constexpr seconds kResolvedTime{30};  // until the name is resolved again
  static constexpr seconds kComplaintPause{30};

  struct Settings {
    HookUrl url;
    std::shared_ptr<const net::TlsClientContext> tls;  // of https
    std::string token;                                 // "Authorization: Bearer"; empty: none
    std::string realm;
    seconds timeout{5};
  };
  using Settled = std::function<void(std::string_view username, const HookAnswer& answer)>;
  HookClient(net::Loop& loop, Settings settings, Settled settled);
  ~HookClient() override;

  // Any thread. False when too many wait; otherwise `settled` follows.
  [[nodiscard]] bool post(HookQuestion question) { return mailbox_.post(std::move(question)); }
  // Gives up whatever is under way; nothing is settled any more.
  void shut_down();

  std::size_t connections() const { return connections_.size(); }

 private:
  void on_answer(HookConnection& connection, signaling::http::ReceivedResponse response) override;
  void on_failure(HookConnection& connection, When when, std::string why) override;
  void on_mail();
  void on_time();
  void work();
  bool has_addresses();
  void on_resolved(Expected<std::vector<IpAddress>> addresses);
  HookConnection* idle_connection();
  HookConnection* open_connection();
  void drop(HookConnection& connection);
  void arm();
  void try_again(HookErrand errand, std::string why);
  void settle(const HookErrand& errand, HookAnswer answer);
  void complain(const std::string& why);
  std::string request(const HookQuestion& question) const;

  net::Loop& loop_;
  const Settings settings_;
  const Settled settled_;
  std::string head_;  // of every request, up to the length of its body
  net::LoopTimer timer_;
  net::Async mail_arrived_;
  Mailbox<HookQuestion> mailbox_;
  std::deque<HookErrand> waiting_;
  std::vector<std::unique_ptr<HookConnection>> connections_;
  std::unique_ptr<net::Resolver> resolver_;  // while the name is being resolved
  std::vector<IpAddress> addresses_;
  std::size_t next_address_ = 0;
  MonoTime resolved_until_;
  MonoTime quiet_until_;        // no complaint before
  std::uint64_t failures_ = 0;  // since the last one
  bool complained_ = false;     // and not yet said that it is over
  bool stopped_ = false;
};

}  // namespace turnpike::server
