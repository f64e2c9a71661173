// TcpStream: a Stream without TLS. Loop thread only.
#pragma once

#include <memory>

#include "net/socket_stream.h"

namespace turnpike::net {

class TcpStream final : public SocketStream {
 public:
  TcpStream(Loop& loop, std::unique_ptr<Released::State> state);

  bool secure() const override { return false; }
  std::string_view alpn() const override { return {}; }

 private:
  // Chunks handed to one writev.
  static constexpr std::size_t kPieces = 16;

  Io read_some(MutableBytes room, std::size_t& size) override;
  Io write_some(ByteQueue& queue, ChunkPool& chunks) override;
  Io handshake() override { return Io::kProgress; }
  bool has_buffered() const override { return false; }
  Io say_goodbye() override { return Io::kProgress; }
  std::unique_ptr<TlsSession> take_session() override { return nullptr; }
  Receiver::End end_of_failure() const override { return Receiver::End::kReset; }
};

}  // namespace turnpike::net
