// DTLS 1.2 (RFC 6347) without sockets: datagrams go in, datagrams and messages come out. The one
// place under the protocols that sees libssl; a target of its own (base_dtls), for the relay's
// listeners and for whoever else speaks DTLS over sockets of their own.
//
//   a stranger's datagram -> Listener -+-> HelloVerifyRequest, nothing is kept
//                                      +-> its cookie is good: an Association
//   later datagrams ------> Association::feed(), then read() until it answers nothing
//
// libssl reads the clock itself for its retransmission timer, so timeout() is a duration and not a
// deadline. Whoever owns these objects bounds their number. Single thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/time.h"

struct ssl_ctx_st;
struct ssl_st;
union bio_addr_st;

namespace turnpike::dtls {

// What an application datagram can carry: one record (RFC 6347 section 4.1).
inline constexpr std::size_t kMaxPayload = 16384;
// Flights of the handshake are cut to datagrams of this size, which pass everywhere.
inline constexpr unsigned kHandshakeMtu = 1200;

// RFC 7983 section 7: a first byte of 20 to 63.
constexpr bool is_record(ByteView datagram) {
  return !datagram.empty() && datagram[0] >= 20 && datagram[0] <= 63;
}

// The cookies of a server: a MAC over the client's transport address under a key that changes every
// minute. The one before is still good, so that nobody meets the change.
class Cookies {
 public:
  static constexpr seconds kInterval{60};
  using Cookie = std::array<std::uint8_t, 16>;

  explicit Cookies(Random& random) { random.fill(secret_); }
  Cookie make(const Address& client, MonoTime now) const { return of(client, interval(now)); }
  bool is_good(ByteView cookie, const Address& client, MonoTime now) const;

 private:
  static std::uint64_t interval(MonoTime now);
  Cookie of(const Address& client, std::uint64_t interval) const;

  std::array<std::uint8_t, 32> secret_{};
};

// Where an association's datagrams go. Called from inside its inputs; must not call it back.
class Output {
 public:
  virtual ~Output() = default;
  virtual void send(ByteView datagram) = 0;
};

class Association {
 public:
  enum class Role : std::uint8_t { kClient, kServer };
  enum class State : std::uint8_t {
    kHandshaking,
    kEstablished,
    kClosed,  // the peer said close_notify, or the association failed; nothing more will come
  };

  // nullptr when there is no memory for it. `output` outlives it, or is replaced before.
  static std::unique_ptr<Association> create(ssl_ctx_st* context, Role role, Output& output);
  ~Association();
  Association(const Association&) = delete;
  Association& operator=(const Association&) = delete;

  void send_to(Output& output) { channel_.output = &output; }
  // The client's first flight; on a server what the listener has read is answered.
  State start() { return advance(); }
  // Borrowed until read() has answered nothing.
  State feed(ByteView datagram);
  // The next message that the datagram held, or nothing. `room` takes kMaxPayload bytes.
  std::optional<ByteView> read(MutableBytes room);
  // One message as one datagram. False: too long, or this is not established.
  bool write(ByteView message);
  // Time until on_timeout() is due; nothing while no flight waits for an answer.
  std::optional<Duration> timeout() const;
  // Sends the last flight again, if it is due.
  State on_timeout();
  // close_notify, once.
  void close();

  State state() const { return state_; }
  // Whether this handshake began with that ClientHello: then it is only a duplicate.
  bool began_with(ByteView client_hello) const;
  ssl_st* raw() { return ssl_; }

 private:
  friend class Listener;
  struct Bio;
  struct Channel {
    ByteView waiting;  // a datagram that nobody has read yet
    Output* output = nullptr;
  };
  Association() = default;
  State advance();
  State outcome(int result);

  Channel channel_;
  ssl_st* ssl_ = nullptr;
  State state_ = State::kHandshaking;
};

// Judges what strangers send. A HelloVerifyRequest is shorter than the ClientHello that it answers,
// and no memory is taken before a cookie has come back.
class Listener {
 public:
  // The context must have been through require_cookies(); it and `random` outlive the listener.
  Listener(ssl_ctx_st* context, Random& random);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Who begins from now on meets this context, which has been through require_cookies().
  void use(ssl_ctx_st* context);

  // The association whose ClientHello carried a good cookie, not yet started and without an output
  // of its own (send_to()), else nullptr. What is sent meanwhile goes to `output`.
  std::unique_ptr<Association> on_datagram(MonoTime now, const Address& client, ByteView datagram,
                                           Output& output);

 private:
  friend void require_cookies(ssl_ctx_st* context);
  struct Callbacks;

  ssl_ctx_st* context_;
  Cookies cookies_;
  std::unique_ptr<Association> listening_;
  bio_addr_st* ignored_;  // DTLSv1_listen() wants to tell an address that it does not know
  MonoTime now_;
  Address client_;
};

// Sets a server's context up for a Listener: once, before any is made of it.
void require_cookies(ssl_ctx_st* context);

// A ClientHello in the clear, as far as its random; with it an association may begin anew on the
// five-tuple of another (RFC 6347 section 4.2.8).
bool is_client_hello(ByteView datagram);

}  // namespace turnpike::dtls
