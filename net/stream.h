// Stream: a connection, TCP or TLS alike. Bytes come to a Receiver; writes are corked and leave
// at the loop's next flush, so that many packets share one TLS record and one system call.
// Memory for queued bytes exists only while bytes are queued.
//
// The owner holds it by unique_ptr on the loop's thread. A Receiver callback may destroy the stream
// (the implementation returns at once after a callback during which it was destroyed).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"
#include "net/loop.h"

namespace turnpike::net {

class TlsClientContext;
class TlsContext;

class Stream {
 public:
  class Receiver {
   public:
    virtual ~Receiver() = default;
    // TLS only: the handshake is over and alpn() is known.
    virtual void on_secured(Stream& stream) = 0;
    // Asked before each read. No: the bytes stay where they are, no system call is made, and the
    // stream asks again in the next turn, after those that were refused before it.
    virtual bool has_time(const Stream&) { return true; }
    // Borrowed; what is not consumed now must be kept by the receiver.
    virtual void on_bytes(Stream& stream, ByteView bytes) = 0;
    // The queue has fallen below the low watermark after it was above the high one.
    virtual void on_drained(Stream& stream) = 0;
    // After keep_half_open() only: the peer sends no more, and still reads.
    virtual void on_peer_finished(Stream& stream);
    // The other side closed, or an error; the stream is dead and should be destroyed.
    enum class End : std::uint8_t { kClosed, kReset, kTlsFailed };
    virtual void on_end(Stream& stream, End end) = 0;
  };

  // What release() takes out and another loop's adopt() brings to life again: descriptor, TLS state
  // and the decrypted bytes that nobody has consumed. Movable between threads.
  class Released;

  static constexpr std::size_t kHighWatermark = 256 * 1024;
  static constexpr std::size_t kLowWatermark = 64 * 1024;

  // Takes the descriptor over. With a context the TLS handshake starts (server side).
  static std::unique_ptr<Stream> accept(Loop& loop, int fd, const TlsContext* tls);
  // The other way round: a connection that TcpConnector has made to `host`. With a context the TLS
  // handshake starts, and the certificate must be for that name or address.
  static std::unique_ptr<Stream> open(Loop& loop, int fd, const TlsClientContext* tls,
                                      const std::string& host);
  static std::unique_ptr<Stream> adopt(Loop& loop, Released released);
  virtual ~Stream() = default;  // closes the descriptor without waiting

  // Starts delivering. Bytes that a Released carried are delivered first, from the next flush on.
  virtual void start(Receiver& receiver) = 0;
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;

  // head + body + pad zero bytes, all or nothing. kDropped: the queue is above the high watermark
  // and nothing was taken (a relayed datagram is lost, as on any congested path).
  enum class Written : std::uint8_t { kQueued, kDropped };
  virtual Written write_datagram(ByteView head, ByteView body, std::uint8_t pad) = 0;
  // Always takes the bytes (signaling, HTTP); the caller bounds queued_bytes().
  virtual void write(ByteView bytes) = 0;
  virtual std::size_t queued_bytes() const = 0;
  // on_drained() comes when the queue is below the low watermark, be it now, in the next flush.
  virtual void tell_when_drained() = 0;
  // Sends what is queued, then closes; on_end follows. Nothing can be written after it, and nothing
  // is delivered. How long a peer may take to read what is queued is the owner's to bound.
  virtual void finish() = 0;
  // The two directions end apart from each other, as those of a relayed connection do.
  virtual void keep_half_open() = 0;
  // Sends what is queued, then tells the peer that nothing more comes; reading goes on. on_end
  // follows when the peer has finished as well. Only with keep_half_open().
  virtual void end_writing() = 0;
  // The connection changes its loop: every event here is stopped before this returns. `unread` are
  // bytes that the receiver was given and did not consume. The stream is destroyed by this.
  static Released release(std::unique_ptr<Stream> stream, ByteView unread);

  virtual bool secure() const = 0;
  virtual std::string_view alpn() const = 0;  // "" without TLS or without agreement
  // What was agreed on, once on_secured() was called: constant strings; "" without TLS.
  struct Tls {
    std::string_view version;  // "TLSv1.3"
    std::string_view cipher;   // "TLS_AES_256_GCM_SHA384"
  };
  virtual Tls tls() const { return {}; }
  // After on_end(): what TLS did not like, for the operator; empty when it was something else.
  virtual std::string_view tls_failure() const { return {}; }
  const Address& local() const { return local_; }
  const Address& remote() const { return remote_; }
  // Who is at the other end, when a load balancer in between has said so.
  void set_remote(const Address& remote) { remote_ = remote; }

 protected:
  Stream(const Address& local, const Address& remote) : local_(local), remote_(remote) {}

 private:
  Address local_, remote_;
};

// Movable, opaque; destroying it closes the connection.
class Stream::Released {
 public:
  struct State;
  explicit Released(std::unique_ptr<State> state);
  Released(Released&&) noexcept;
  Released& operator=(Released&&) noexcept;
  ~Released();
  std::unique_ptr<State> take();
  const Address& remote() const;
  const Address& local() const;
  bool secure() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace turnpike::net
