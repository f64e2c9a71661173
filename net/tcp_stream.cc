#include "net/tcp_stream.h"

#include <array>
#include <cerrno>

#include "net/syscalls.h"

namespace turnpike::net {

TcpStream::TcpStream(Loop& loop, std::unique_ptr<Released::State> state)
    : SocketStream(loop, *state) {
  state->fd = -1;
}

TcpStream::Io TcpStream::read_some(MutableBytes room, std::size_t& size) {
  ssize_t count = 0;
  do {
    count = syscalls().read(fd(), room.data(), room.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Io::kWantRead : Io::kFailed;
  if (count == 0) return Io::kClosed;
  size = static_cast<std::size_t>(count);
  return size < room.size() ? Io::kEmptied : Io::kProgress;
}

TcpStream::Io TcpStream::write_some(ByteQueue& queue, ChunkPool& chunks) {
  std::array<iovec, kPieces> pieces;
  const int filled = queue.gather(pieces);
  std::size_t offered = 0;
  for (int i = 0; i < filled; ++i) offered += pieces[static_cast<std::size_t>(i)].iov_len;
  ssize_t count = 0;
  do {
    count = syscalls().writev(fd(), pieces.data(), filled);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Io::kWantWrite : Io::kFailed;
  const auto sent = static_cast<std::size_t>(count);
  queue.consume(chunks, sent);
  return sent < offered ? Io::kWantWrite : Io::kProgress;
}

}  // namespace turnpike::net
