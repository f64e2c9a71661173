// TlsStream: a Stream inside TLS, of either side. Loop thread only.
#pragma once

#include <memory>
#include <string>

#include "net/socket_stream.h"
#include "net/tls_session.h"

namespace turnpike::net {

class TlsStream final : public SocketStream {
 public:
  TlsStream(Loop& loop, std::unique_ptr<Released::State> state);
  ~TlsStream() override;

  bool secure() const override { return true; }
  std::string_view alpn() const override;
  Tls tls() const override;
  std::string_view tls_failure() const override { return failure_; }

 private:
  Io read_some(MutableBytes room, std::size_t& size) override;
  Io write_some(ByteQueue& queue, ChunkPool& chunks) override;
  Io handshake() override;
  bool has_buffered() const override;
  Io say_goodbye() override;
  void on_readiness() override { session_->on_readiness(); }
  std::unique_ptr<TlsSession> take_session() override { return std::move(session_); }
  Receiver::End end_of_failure() const override { return end_of_failure_; }

  // What OpenSSL's return value means; remembers a failure, after which it must not be called.
  Io outcome(int result);

  std::unique_ptr<TlsSession> session_;
  bool failed_ = false;
  std::string failure_;
  Receiver::End end_of_failure_ = Receiver::End::kTlsFailed;
};

}  // namespace turnpike::net
