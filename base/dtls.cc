#include "base/dtls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace turnpike::dtls {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHello = 1;
constexpr std::size_t kRandomSize = 32;

// The record's header (13 bytes), the message's (12) and the version come before the random; a
// later fragment begins with something else (RFC 6347 sections 4.1 and 4.2.2).
ByteView client_random(ByteView datagram) {
  Reader in(datagram);
  if (in.u8() != kHandshakeRecord) return {};
  in.skip(2);
  const std::uint16_t epoch = in.u16();
  in.skip(8);
  const std::uint8_t message = in.u8();
  in.skip(5);
  const ByteView fragment_begins = in.bytes(3);
  in.skip(5);
  const ByteView random = in.bytes(kRandomSize);
  if (!in.ok() || epoch != 0 || message != kClientHello) return {};
  if (!equal(fragment_begins, std::array<std::uint8_t, 3>{})) return {};
  return random;
}

}  // namespace

bool is_client_hello(ByteView datagram) { return !client_random(datagram).empty(); }

// --- Cookies

std::uint64_t Cookies::interval(MonoTime now) {
  return static_cast<std::uint64_t>(now.since_start / Duration(kInterval));
}

Cookies::Cookie Cookies::of(const Address& client, std::uint64_t interval) const {
  std::array<std::uint8_t, 10> rest;
  Writer out(rest);
  out.u64(interval);
  out.u16(client.port);
  const Sha256Digest mac = hmac_sha256(secret_, {out.written(), client.ip.bytes()});
  Cookie cookie;
  std::copy_n(mac.begin(), cookie.size(), cookie.begin());
  return cookie;
}

bool Cookies::is_good(ByteView cookie, const Address& client, MonoTime now) const {
  const std::uint64_t current = interval(now);
  if (equal_in_constant_time(cookie, of(client, current))) return true;
  return current > 0 && equal_in_constant_time(cookie, of(client, current - 1));
}

// --- Association

// A BIO whose reads take one waiting datagram and whose writes are datagrams. Its data is the
// Channel.
struct Association::Bio {
  static BIO_METHOD* method() {
    static BIO_METHOD* const method = make();
    return method;
  }

  static BIO_METHOD* make() {
    BIO_METHOD* method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "turnpike datagrams");
    CHECK(method != nullptr);
    BIO_meth_set_read_ex(method, &Bio::read);
    BIO_meth_set_write_ex(method, &Bio::write);
    BIO_meth_set_ctrl(method, &Bio::control);
    return method;
  }

  static int read(BIO* bio, char* room, std::size_t size, std::size_t* got) {
    auto& channel = *static_cast<Channel*>(BIO_get_data(bio));
    *got = 0;
    BIO_clear_retry_flags(bio);
    if (channel.waiting.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    *got = std::min(size, channel.waiting.size());
    std::memcpy(room, channel.waiting.data(), *got);
    channel.waiting = {};  // what does not fit is lost, as with recv()
    return 1;
  }

  static int write(BIO* bio, const char* bytes, std::size_t size, std::size_t* sent) {
    const auto& channel = *static_cast<Channel*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    channel.output->send(ByteView(reinterpret_cast<const std::uint8_t*>(bytes), size));
    *sent = size;
    return 1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
};

std::unique_ptr<Association> Association::create(ssl_ctx_st* context, Role role, Output& output) {
  std::unique_ptr<Association> association(new Association);
  association->channel_.output = &output;
  association->ssl_ = SSL_new(context);
  BIO* bio = BIO_new(Bio::method());
  if (association->ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, &association->channel_);
  BIO_set_init(bio, 1);
  SSL_set_bio(association->ssl_, bio, bio);
  SSL_set_options(association->ssl_, SSL_OP_NO_QUERY_MTU);
  SSL_set_mtu(association->ssl_, kHandshakeMtu);
  if (role == Role::kServer) {
    SSL_set_accept_state(association->ssl_);
  } else {
    SSL_set_connect_state(association->ssl_);
  }
  return association;
}

Association::~Association() { SSL_free(ssl_); }

Association::State Association::outcome(int result) {
  if (result <= 0) {
    const int error = SSL_get_error(ssl_, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) state_ = State::kClosed;
    ERR_clear_error();
  }
  return state_;
}

Association::State Association::advance() {
  if (state_ != State::kHandshaking) return state_;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) state_ = State::kEstablished;
  return outcome(result);
}

Association::State Association::feed(ByteView datagram) {
  channel_.waiting = datagram;
  return advance();
}

std::optional<ByteView> Association::read(MutableBytes room) {
  if (state_ != State::kEstablished) {
    channel_.waiting = {};
    return std::nullopt;
  }
  std::size_t size = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_, room.data(), room.size(), &size);
  outcome(result);
  if (result == 1) return ByteView(room.data(), size);
  channel_.waiting = {};
  return std::nullopt;
}

bool Association::write(ByteView message) {
  if (state_ != State::kEstablished || message.empty() || message.size() > kMaxPayload) {
    return false;
  }
  std::size_t sent = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(ssl_, message.data(), message.size(), &sent);
  outcome(result);
  return result == 1;
}

std::optional<Duration> Association::timeout() const {
  if (state_ == State::kClosed) return std::nullopt;
  timeval left{};
  if (DTLSv1_get_timeout(ssl_, &left) != 1) return std::nullopt;
  return seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec);
}

Association::State Association::on_timeout() {
  if (state_ == State::kClosed) return state_;
  ERR_clear_error();
  // Too many retransmissions end it; a flight that could not be sent does not.
  if (DTLSv1_handle_timeout(ssl_) < 0) state_ = State::kClosed;
  ERR_clear_error();
  return state_;
}

void Association::close() {
  if (SSL_is_init_finished(ssl_) == 1 && (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) == 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  state_ = State::kClosed;
}

bool Association::began_with(ByteView client_hello) const {
  std::array<std::uint8_t, kRandomSize> ours{};
  const ByteView theirs = client_random(client_hello);
  return SSL_get_client_random(ssl_, ours.data(), ours.size()) == ours.size() &&
         equal(ours, theirs);
}

// --- Listener

// The data of a listening SSL is its Listener; an association's is none, because its cookie was
// found good before it became one.
struct Listener::Callbacks {
  static int make(SSL* ssl, unsigned char* cookie, unsigned* size) {
    const auto* listener = static_cast<const Listener*>(SSL_get_app_data(ssl));
    CHECK(listener != nullptr);
    const Cookies::Cookie made = listener->cookies_.make(listener->client_, listener->now_);
    std::copy(made.begin(), made.end(), cookie);
    *size = made.size();
    return 1;
  }

  static int verify(SSL* ssl, const unsigned char* cookie, unsigned size) {
    const auto* listener = static_cast<const Listener*>(SSL_get_app_data(ssl));
    if (listener == nullptr) return 1;
    return listener->cookies_.is_good(ByteView(cookie, size), listener->client_, listener->now_);
  }
};

void require_cookies(ssl_ctx_st* context) {
  SSL_CTX_set_cookie_generate_cb(context, &Listener::Callbacks::make);
  SSL_CTX_set_cookie_verify_cb(context, &Listener::Callbacks::verify);
}

Listener::Listener(ssl_ctx_st* context, Random& random)
    : context_(context), cookies_(random), ignored_(BIO_ADDR_new()) {
  CHECK(ignored_ != nullptr);
}

void Listener::use(ssl_ctx_st* context) {
  context_ = context;
  listening_.reset();
}

Listener::~Listener() { BIO_ADDR_free(ignored_); }

std::unique_ptr<Association> Listener::on_datagram(MonoTime now, const Address& client,
                                                   ByteView datagram, Output& output) {
  if (!is_client_hello(datagram)) return nullptr;
  if (listening_ == nullptr) {
    listening_ = Association::create(context_, Association::Role::kServer, output);
    if (listening_ == nullptr) return nullptr;
    SSL_set_app_data(listening_->ssl_, this);
  }
  now_ = now;
  client_ = client;
  listening_->channel_ = {datagram, &output};
  ERR_clear_error();
  const int result = DTLSv1_listen(listening_->ssl_, ignored_);
  ERR_clear_error();
  listening_->channel_ = {};
  if (result <= 0) return nullptr;
  SSL_set_app_data(listening_->ssl_, nullptr);
  return std::move(listening_);
}

}  // namespace turnpike::dtls
