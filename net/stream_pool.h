// StreamPool: what the streams of one loop share. Memory for what is queued, a buffer to read into,
// and the lists of streams that have something to send at the next flush or something to deliver in
// the next turn. Owned by the Loop, made when the first stream needs it. Loop thread only.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "net/byte_queue.h"
#include "net/loop.h"

namespace turnpike::net {

class SocketStream;

struct FlushTag;
struct DeliverTag;
// Unlink themselves, so that a stream may be destroyed while a list is being walked.
using FlushHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<FlushTag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using DeliverHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<DeliverTag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class StreamPool {
 public:
  static constexpr std::size_t kScratchBytes = 64 * 1024;
  // Chunks that wait from the start: as many streams can have something queued at once before the
  // relay path meets the heap, which it then does once for each chunk more. 1 MiB, of which a
  // quarter is resident until they are used.
  static constexpr std::size_t kReadyChunks = 64;

  explicit StreamPool(Loop& loop);
  ~StreamPool();
  StreamPool(const StreamPool&) = delete;
  StreamPool& operator=(const StreamPool&) = delete;

  ChunkPool& chunks() { return chunks_; }
  // Holds what was just read, until the next read of any stream.
  MutableBytes scratch() { return {scratch_.get(), kScratchBytes}; }

  // At the next flush: in this turn, or in the next one when this is asked from inside a flush.
  void flush_later(SocketStream& stream);
  // For bytes that no poll will announce: they are in user space already.
  void deliver_later(SocketStream& stream);

  void flush();

 private:
  void deliver();

  struct Lists;
  ChunkPool chunks_;
  std::unique_ptr<std::uint8_t[]> scratch_;
  std::unique_ptr<Lists> lists_;
  NextTurn next_turn_;
};

}  // namespace turnpike::net
