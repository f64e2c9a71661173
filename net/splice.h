// Splice: two streams whose bytes are each other's, such as a client's connection and a peer's.
// Whoever reads slowly slows the other down: beyond kHighWatermark queued for one side the other
// is not read, and its kernel closes the window. The end of one direction is passed on after what
// came before it; an end of both closes the other side, too. Once a direction has ended, what is
// left may be silent for kSilence.
// With a pace, an end is not read for a while after each read, so that its kernel and in the end
// its sender are slowed down: of a byte stream nothing can be dropped.
// Owned by whoever made it; loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/time.h"
#include "net/loop.h"
#include "net/stream.h"

namespace turnpike::net {

class Splice {
 public:
  static constexpr std::size_t kHighWatermark = 128 * 1024;
  // Told what was read of one end, and answers until when nothing more of it is to be read: now or
  // earlier is at once. At that time it is asked again, with no bytes.
  enum class From : std::uint8_t { kClient, kPeer };
  using Pace = std::function<MonoTime(From from, std::size_t bytes)>;

  // Held for all streams of the loop; beyond it every splice moves only what fits the kernel.
  static constexpr std::size_t kMaxQueuedOfLoop = 128u << 20;
  static constexpr seconds kSilence{60};

  // `ended` is called once, when both streams are gone, and may destroy the splice.
  Splice(Loop& loop, std::unique_ptr<Stream> client, std::unique_ptr<Stream> peer,
         std::function<void()> ended);
  ~Splice();
  Splice(const Splice&) = delete;
  Splice& operator=(const Splice&) = delete;

  // Before start().
  void pace_by(Pace pace) { pace_ = std::move(pace); }

  // `first` are bytes of the client that somebody has read already. May be called from inside a
  // callback of the client's stream.
  void start(ByteView first);

  // Those of the two that have not ended.
  std::size_t streams() const { return (client_.stream ? 1u : 0u) + (peer_.stream ? 1u : 0u); }

 private:
  struct Side final : Stream::Receiver {
    Side(Splice& its_splice, std::unique_ptr<Stream> its_stream)
        : splice(its_splice), stream(std::move(its_stream)) {}
    void on_secured(Stream&) override {}
    void on_bytes(Stream&, ByteView bytes) override { splice.carry(*this, bytes); }
    void on_drained(Stream&) override { splice.on_drained(*this); }
    void on_peer_finished(Stream&) override { splice.on_finished(*this); }
    void on_end(Stream&, End) override { splice.on_end(*this); }

    Splice& splice;
    std::unique_ptr<Stream> stream;  // null once it has ended
    std::size_t queued_before = 0;   // when the timer was armed
    // Why it is not read.
    bool waits_for_drain = false;
    bool waits_for_time = false;
    std::unique_ptr<LoopTimer> wait;  // once it has waited for time
  };

  Side& other(const Side& side) { return &side == &client_ ? peer_ : client_; }
  void carry(Side& from, ByteView bytes);
  void read_on(Side& from);
  void keep_pace(Side& from, std::size_t bytes);
  void on_drained(const Side& side);
  void on_finished(const Side& side);
  void on_end(Side& side);
  void watch_silence();
  void on_time();

  Loop& loop_;
  std::function<void()> ended_;
  Pace pace_;  // empty: as fast as they read
  Side client_;
  Side peer_;
  std::unique_ptr<LoopTimer> silence_;  // once a direction has ended
  bool moved_ = false;                  // since the timer was armed
};

}  // namespace turnpike::net
