// HookConnection: one connection to the authorisation service, TCP or TLS, with one question under
// way at most. Owned by a HookClient; its loop's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "net/loop.h"
#include "net/stream.h"
#include "net/tcp_connector.h"
#include "net/tls_client_context.h"
#include "server/hook_desk.h"
#include "signaling/http_response.h"

namespace turnpike::server {

// A question on its way.
struct HookErrand {
  HookQuestion question;
  MonoTime deadline;
  std::uint32_t attempts = 0;  // that ended before an answer began
};

class HookConnection final : private net::Stream::Receiver {
 public:
  static constexpr std::size_t kMaxAnswer = 16 * 1024;

  // May destroy the connection.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_answer(HookConnection& connection,
                           signaling::http::ReceivedResponse response) = 0;
    enum class When : std::uint8_t {
      kConnecting,  // nobody there
      kReused,      // a connection that was used before, and had been ended by the service
      kLater,
    };
    // Also when nothing was asked: the service may end a connection that nobody uses.
    virtual void on_failure(HookConnection& connection, When when, std::string why) = 0;
  };
  struct Wish {
    net::Loop& loop;
    Address to;
    const net::TlsClientContext* tls = nullptr;  // nullptr: plain
    std::string host;                            // whom the certificate must be for
  };
  HookConnection(Owner& owner, Wish wish) : owner_(owner), wish_(std::move(wish)) {}
  ~HookConnection() override = default;

  // False: it has failed already.
  bool connect();
  // Not while another one is under way. `request` is the whole HTTP request.
  void ask(HookErrand errand, const std::string& request);

  bool busy() const { return errand_.has_value(); }
  // Of a connection that can be used again.
  bool idle() const { return !busy() && stream_ != nullptr && !ended_; }
  MonoTime deadline() const { return errand_ ? errand_->deadline : idle_until_; }
  void set_idle_until(MonoTime until) { idle_until_ = until; }
  HookErrand take_errand();

 private:
  void on_connected(int fd);
  void on_secured(net::Stream&) override {}
  void on_bytes(net::Stream& stream, ByteView bytes) override;
  void on_drained(net::Stream&) override {}
  void on_end(net::Stream& stream, End end) override;
  void finish();
  void fail(Owner::When when, std::string why);

  Owner& owner_;
  const Wish wish_;
  std::unique_ptr<net::TcpConnector> connector_;
  std::unique_ptr<net::Stream> stream_;
  std::optional<HookErrand> errand_;
  std::string request_;  // until there is a stream
  std::optional<signaling::http::ResponseParser> parser_;
  bool answer_began_ = false;
  bool used_before_ = false;
  bool ended_ = false;  // the service wants no further question on it
  MonoTime idle_until_ = MonoTime::never();
};

}  // namespace turnpike::server
