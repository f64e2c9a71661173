// ByteQueue: bytes that a stream has still to send, in chunks of one TLS record. The chunks come
// from the ChunkPool of the stream's loop and go back as soon as they are empty, so that a stream
// with nothing queued holds no memory, and a loop that has warmed up allocates nothing. The queue's
// owner gives the pool with each call that needs it. Loop thread only.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace turnpike::net {

struct Chunk {
  // The most that one TLS record carries (RFC 8446 section 5.1).
  static constexpr std::uint32_t kBytes = 16 * 1024;

  Chunk* next = nullptr;
  std::uint32_t begin = 0, end = 0;
  std::uint8_t bytes[kBytes];
};

class ChunkPool {
 public:
  // What is kept of a burst: 16 MiB. More goes back to the heap.
  static constexpr std::size_t kMaxIdle = 1024;

  ChunkPool() = default;
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  Chunk* take();
  void give_back(Chunk* chunk);
  // At least `count` chunks lie ready, so that the first that many are lent without the heap.
  void reserve(std::size_t count);
  std::size_t idle() const { return idle_; }
  std::size_t lent() const { return lent_; }

 private:
  Chunk* first_ = nullptr;  // the one used last: its memory is warm
  std::size_t idle_ = 0;
  std::size_t lent_ = 0;
};

class ByteQueue {
 public:
  ByteQueue() = default;
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void append(ChunkPool& pool, ByteView bytes);
  void append_zeros(ChunkPool& pool, std::size_t count);
  // The bytes at the front that lie together.
  ByteView front() const;
  // Fills `pieces` from the front; answers how many it filled.
  int gather(std::span<iovec> pieces) const;
  void consume(ChunkPool& pool, std::size_t count);
  void clear(ChunkPool& pool) { consume(pool, size_); }

 private:
  MutableBytes room(ChunkPool& pool);

  Chunk* first_ = nullptr;
  Chunk* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace turnpike::net
