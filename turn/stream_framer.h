// Cuts a byte stream into STUN messages and ChannelData messages (RFC 8489 section 6.2.2, RFC 8656
// section 12.5: ChannelData on streams is padded to four bytes, and the padding is not counted).
// Holds bytes only while a message is incomplete; the room for them, kKeptCapacity, stays after the
// first time so that relaying over a stream does not allocate. Owned by a connection; no I/O.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace turnpike::turn {

class StreamFramer {
 public:
  // Largest thing a peer may make us hold: a ChannelData message of 65535 bytes and its header.
  static constexpr std::size_t kMaxMessage = 4 + 65535 + 1;

  static constexpr std::size_t kKeptCapacity = 2048;

  enum class Result : std::uint8_t { kMessage, kNeedMore, kGarbage };

  // Feed bytes once, then call next() until it does not answer kMessage. The views that next()
  // gives are valid until keep_rest() or the next feed(); a message that was complete inside
  // `bytes` is a view of `bytes` itself. kGarbage: the stream is neither STUN nor ChannelData and
  // must be closed.
  void feed(ByteView bytes);
  Result next(ByteView& message);
  // After kMessage: the bytes fed that lie behind that message.
  ByteView rest() const { return fed_; }
  // Must be called when next() has answered kNeedMore, before the fed bytes go away: keeps what is
  // left of them.
  void keep_rest();

  std::size_t buffered() const { return kept_.size(); }

 private:
  Result complete_kept(ByteView& message);
  void keep(std::size_t count);
  void drop_delivered();

  std::vector<std::uint8_t> kept_;
  ByteView fed_;
  std::size_t consumed_of_kept_ = 0;
};

}  // namespace turnpike::turn
