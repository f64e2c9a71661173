// Slab<T>: objects that stay where they are, named by handles that outlive them safely.
// A handle is an index and a generation; after erase() it resolves to nullptr for ever, also when
// the slot is used again (the generation has 32 bits). Grows in chunks up to its maximum and keeps
// what it has: after the peak it never allocates again. Single thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"

namespace turnpike {

template <typename T>
struct Handle {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0 names nothing

  explicit operator bool() const { return generation != 0; }
  bool operator==(const Handle&) const = default;
  // For places that carry a handle through an interface that cannot name T.
  std::uint64_t pack() const { return std::uint64_t{generation} << 32 | index; }
  static Handle unpack(std::uint64_t value) {
    return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
  }
};

template <typename T>
class Slab {
 public:
  explicit Slab(std::uint32_t maximum) : maximum_(maximum) {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for_each([this](Handle<T> handle, T&) { erase(handle); });
  }

  // An empty handle when `maximum` objects live already.
  template <typename... Args>
  Handle<T> emplace(Args&&... args) {
    if (free_.empty() && !grow()) return {};
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = at(index);
    ::new (slot.storage.data()) T(std::forward<Args>(args)...);
    slot.live = true;
    ++size_;
    return {index, slot.generation};
  }
  T* find(Handle<T> handle) {
    if (handle.generation == 0 || handle.index >= capacity_) return nullptr;
    Slot& slot = at(handle.index);
    return slot.live && slot.generation == handle.generation ? slot.object() : nullptr;
  }
  const T* find(Handle<T> handle) const { return const_cast<Slab*>(this)->find(handle); }
  bool erase(Handle<T> handle) {
    T* object = find(handle);
    if (object == nullptr) return false;
    Slot& slot = at(handle.index);
    slot.live = false;
    if (++slot.generation == 0) slot.generation = 1;
    object->~T();
    --size_;
    free_.push_back(handle.index);
    return true;
  }
  std::uint32_t size() const { return size_; }
  std::uint32_t maximum() const { return maximum_; }

  // Visits every live object; the visitor may erase the one it is given, and no other.
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (std::uint32_t index = 0; index < capacity_; ++index) {
      Slot& slot = at(index);
      if (slot.live) visit(Handle<T>{index, slot.generation}, *slot.object());
    }
  }

 private:
  static constexpr std::uint32_t kChunk = 256;
  struct Slot {
    alignas(T) std::array<std::byte, sizeof(T)> storage;
    std::uint32_t generation = 1;
    bool live = false;
    T* object() { return std::launder(reinterpret_cast<T*>(storage.data())); }
  };
  Slot& at(std::uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }
  bool grow() {
    if (capacity_ >= maximum_) return false;
    chunks_.push_back(std::make_unique<Slot[]>(kChunk));
    const std::uint32_t added = std::min(kChunk, maximum_ - capacity_);
    free_.reserve(capacity_ + added);
    for (std::uint32_t i = added; i > 0; --i) free_.push_back(capacity_ + i - 1);
    capacity_ += added;
    return true;
  }

  std::uint32_t maximum_;
  std::uint32_t capacity_ = 0;
  std::uint32_t size_ = 0;
  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::vector<std::uint32_t> free_;
};

}  // namespace turnpike
