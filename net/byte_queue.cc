#include "net/byte_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace turnpike::net {

ChunkPool::~ChunkPool() {
  while (first_ != nullptr) delete std::exchange(first_, first_->next);
}

Chunk* ChunkPool::take() {
  ++lent_;
  // Default-initialised: the 16 KiB are not zeroed.
  if (first_ == nullptr) return new Chunk;
  Chunk* chunk = std::exchange(first_, first_->next);
  --idle_;
  chunk->next = nullptr;
  chunk->begin = chunk->end = 0;
  return chunk;
}

void ChunkPool::give_back(Chunk* chunk) {
  --lent_;
  if (idle_ >= kMaxIdle) {
    delete chunk;
    return;
  }
  chunk->next = std::exchange(first_, chunk);
  ++idle_;
}

void ChunkPool::reserve(std::size_t count) {
  CHECK(count <= kMaxIdle);
  while (idle_ < count) {
    auto* chunk = new Chunk;
    chunk->next = std::exchange(first_, chunk);
    ++idle_;
  }
}

void ByteQueue::append(ChunkPool& pool, ByteView bytes) {
  while (!bytes.empty()) {
    const MutableBytes free = room(pool);
    const std::size_t count = std::min(free.size(), bytes.size());
    std::memcpy(free.data(), bytes.data(), count);
    last_->end += static_cast<std::uint32_t>(count);
    size_ += count;
    bytes = bytes.subspan(count);
  }
}

void ByteQueue::append_zeros(ChunkPool& pool, std::size_t count) {
  while (count > 0) {
    const MutableBytes free = room(pool);
    const std::size_t now = std::min(free.size(), count);
    std::memset(free.data(), 0, now);
    last_->end += static_cast<std::uint32_t>(now);
    size_ += now;
    count -= now;
  }
}

MutableBytes ByteQueue::room(ChunkPool& pool) {
  if (last_ == nullptr || last_->end == Chunk::kBytes) {
    Chunk* chunk = pool.take();
    (last_ == nullptr ? first_ : last_->next) = chunk;
    last_ = chunk;
  }
  return {last_->bytes + last_->end, Chunk::kBytes - last_->end};
}

ByteView ByteQueue::front() const {
  if (first_ == nullptr) return {};
  return {first_->bytes + first_->begin, first_->end - first_->begin};
}

int ByteQueue::gather(std::span<iovec> pieces) const {
  std::size_t filled = 0;
  for (Chunk* chunk = first_; chunk != nullptr && filled < pieces.size(); chunk = chunk->next) {
    pieces[filled++] = {chunk->bytes + chunk->begin, chunk->end - chunk->begin};
  }
  return static_cast<int>(filled);
}

void ByteQueue::consume(ChunkPool& pool, std::size_t count) {
  CHECK(count <= size_);
  size_ -= count;
  while (count > 0) {
    const auto now = std::min<std::size_t>(count, first_->end - first_->begin);
    first_->begin += static_cast<std::uint32_t>(now);
    count -= now;
    if (first_->begin < first_->end) return;
    pool.give_back(std::exchange(first_, first_->next));
    if (first_ == nullptr) last_ = nullptr;
  }
}

}  // namespace turnpike::net
