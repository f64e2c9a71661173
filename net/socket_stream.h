// SocketStream: what TCP and TLS streams have in common, which is nearly everything: the cork, the
// watermarks, the delivery of bytes, and the end.
//
//   open ---- finish() ----> flushing ---- queue empty, FIN sent ----> lingering ----> dead
//     |          ^                                                        |
//     |          +-- the peer half-closed and bytes still wait            +- on_end()
//     +-- the peer closed, an error ------------------------------------------^
//
// Half-open streams (keep_half_open) stay open when one direction has ended; when both have, they
// are dead.
//
// Lingering reads and discards until the peer closes too: closing a socket with unread bytes sends
// a reset, which can destroy the end of an answer that the peer has not read yet. It is bounded.
//
// Any call of the receiver may destroy the stream; functions that can lead to such a call answer
// whether the stream is still alive. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "net/byte_queue.h"
#include "net/stream.h"
#include "net/stream_pool.h"
#include "net/tls_session.h"

namespace turnpike::net {

struct Stream::Released::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();  // closes the descriptor

  int fd = -1;
  std::unique_ptr<TlsSession> tls;  // nullptr: plain TCP
  Address local, remote;
  std::vector<std::uint8_t> unread;
  std::vector<std::uint8_t> unsent;
};

class SocketStream : public Stream, public FlushHook, public DeliverHook {
 public:
  // Bytes delivered in one wake-up; the rest waits for the next turn.
  static constexpr std::size_t kReadBudget = 256 * 1024;
  static constexpr seconds kLinger{2};

  ~SocketStream() override;

  void start(Receiver& receiver) override;
  void pause_reading() override;
  void resume_reading() override;
  Written write_datagram(ByteView head, ByteView body, std::uint8_t pad) override;
  void write(ByteView bytes) override;
  std::size_t queued_bytes() const override { return queue_.size(); }
  void tell_when_drained() override;
  void finish() override;
  void keep_half_open() override { half_open_ = true; }
  void end_writing() override;

  // For the pool.
  void flush();
  void deliver();
  std::unique_ptr<Released::State> detach(ByteView unread);

 protected:
  SocketStream(Loop& loop, const Released::State& state);
  MonoTime now() { return loop_.tick().mono; }

  enum class Io : std::uint8_t {
    kProgress,   // some bytes moved, there may be more
    kEmptied,    // some bytes were read, and the kernel has no more of them
    kWantRead,   // nothing until the descriptor is readable
    kWantWrite,  // nothing until it is writable
    kClosed,     // the peer has closed its direction
    kFailed,
  };
  virtual Io read_some(MutableBytes room, std::size_t& size) = 0;
  // Sends from the front of the queue and consumes it.
  virtual Io write_some(ByteQueue& queue, ChunkPool& chunks) = 0;
  // kProgress when the stream can be read and written.
  virtual Io handshake() = 0;
  // Bytes that are in user space already.
  virtual bool has_buffered() const = 0;
  // Tells the peer that nothing more is coming, before the FIN.
  virtual Io say_goodbye() = 0;
  virtual void on_readiness() {}  // the descriptor may have something new
  virtual std::unique_ptr<TlsSession> take_session() = 0;
  virtual Receiver::End end_of_failure() const = 0;

  int fd() const { return fd_; }

 private:
  enum class State : std::uint8_t { kOpen, kFlushing, kLingering, kDead };
  enum class Alive : bool { kNo, kYes };
  class CallGuard;

  void on_ready(int events);
  Alive shake_hands();
  Alive read();
  Alive deliver_bytes(ByteView bytes);
  Alive on_peer_closed();
  void send_queued();
  Alive after_sending();
  Alive say_nothing_more_comes();
  Alive leave();
  Alive end(Receiver::End end);
  void linger();
  bool takes_bytes() const;
  bool reads() const;
  void watch();

  Loop& loop_;
  StreamPool& pool_;
  int fd_;
  Receiver* receiver_ = nullptr;
  std::unique_ptr<Poll> poll_;
  std::unique_ptr<LoopTimer> linger_;
  ByteQueue queue_;
  std::vector<std::uint8_t> carried_;  // delivered before anything is read
  bool* destroyed_ = nullptr;          // set while the receiver is called
  State state_ = State::kOpen;
  bool ready_ = false;  // the handshake is over
  bool paused_ = false;
  bool above_high_ = false;
  bool peer_closed_ = false;
  bool half_open_ = false;     // one direction may end before the other
  bool write_ended_ = false;   // nothing more is taken,
  bool write_closed_ = false;  // and the peer has been told
  bool send_failed_ = false;
  // What the other direction of TLS may have to wait for: key updates cross directions.
  Io read_waits_ = Io::kWantRead;
  Io write_waits_ = Io::kProgress;  // kProgress: not blocked
};

}  // namespace turnpike::net
