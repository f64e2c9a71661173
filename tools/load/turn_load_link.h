// A client's way to the server: a connected UDP socket or DTLS on one, a TCP connection or TLS on
// one, all non-blocking. Messages in, messages out. Owned by its session; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "tools/load/byte_stream.h"
#include "tools/load/dtls_datagrams.h"
#include "tools/load/turn_load_sockets.h"
#include "turn/stream_framer.h"

namespace turnpike::load {

enum class Transport : std::uint8_t { kUdp, kTcp, kTls, kDtls };
// One message a datagram; the others are streams, where messages are padded.
inline bool is_datagram(Transport transport) {
  return transport == Transport::kUdp || transport == Transport::kDtls;
}
std::string_view name_of(Transport transport);

class Link {
 public:
  // Data is not queued beyond this: it waits for the server to read.
  static constexpr std::size_t kFull = 256 * 1024;

  struct Wish {
    Transport transport;
    Address from;
    Address server;
    Trains trains;
    SSL_CTX* context;
    std::string name = {};  // as in ByteStream
  };
  static Expected<std::unique_ptr<Link>> open(const Wish& wish);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Has to be opened first, by on_ready() and flush(): all but plain UDP.
  bool opens() const { return is_stream() || dtls_ != nullptr; }
  bool is_plain_udp() const { return !opens(); }
  int fd() const { return is_stream() ? stream_->fd() : fd_; }
  bool is_stream() const { return stream_ != nullptr; }
  bool is_open() const {
    if (dtls_) return dtls_->is_open();
    return !is_stream() || (!garbage_ && stream_->is_open());
  }
  bool has_failed() const {
    if (dtls_) return dtls_->has_failed();
    return is_stream() && (garbage_ || stream_->has_failed());
  }
  std::string reason() const {
    if (dtls_) return "DTLS failed";
    return garbage_ ? "it does not speak STUN" : stream_->reason();
  }
  bool wants_write() const {
    return dtls_ ? dtls_->wants_write() : is_stream() && stream_->wants_write();
  }
  bool is_full() const { return is_stream() && stream_->queued() >= kFull; }

  // A whole message; streams pad it. Streams leave with flush().
  void send(ByteView message);
  // Room for `size` bytes at the end of what a stream will send.
  MutableBytes append(std::size_t size) { return stream_->append(size); }
  void flush() {
    if (dtls_) dtls_->advance();
    if (is_stream() && !garbage_) stream_->flush();
  }

  // Goes on with connect and handshake, then reads once or a few times and calls f(message).
  template <typename F>
  void on_ready(Inbox& inbox, F&& f) {
    if (dtls_) {
      if (!dtls_->advance()) return;
      for (int i = 0; i < kDatagramsAtOnce; ++i) {
        const ByteView message = dtls_->read();
        if (message.empty()) return;
        f(message);
      }
      return;
    }
    if (!is_stream()) {
      inbox.receive(fd_, [&](const sockaddr*, ByteView datagram) { f(datagram); });
      return;
    }
    if (garbage_ || !stream_->advance()) return;
    for (int i = 0; i < kReadsAtOnce; ++i) {
      const ByteView bytes = stream_->read_some();
      if (bytes.empty()) return;
      framer_.feed(bytes);
      ByteView message;
      auto result = framer_.next(message);
      for (; result == turn::StreamFramer::Result::kMessage; result = framer_.next(message)) {
        f(message);
      }
      garbage_ = result == turn::StreamFramer::Result::kGarbage;
      if (garbage_) return;
      framer_.keep_rest();
    }
  }

 private:
  static constexpr int kReadsAtOnce = 4;
  static constexpr int kDatagramsAtOnce = 64;

  Link() = default;

  int fd_ = -1;                          // UDP
  std::unique_ptr<DtlsDatagrams> dtls_;  // on fd_
  std::unique_ptr<ByteStream> stream_;
  turn::StreamFramer framer_;
  bool garbage_ = false;
};

}  // namespace turnpike::load
