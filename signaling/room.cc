#include "signaling/room.h"

#include <algorithm>

#include "base/text.h"

namespace turnpike::signaling {

void ReplayQueue::push(std::uint64_t sequence, Frame frame) {
  bytes_ += frame->size();
  waiting_.push_back({sequence, std::move(frame)});
  std::size_t over = waiting_.size() > kMaxMessages ? waiting_.size() - kMaxMessages : 0;
  std::size_t left = bytes_;
  for (std::size_t i = 0; i < over; ++i) left -= waiting_[i].frame->size();
  for (; left > kMaxBytes; ++over) left -= waiting_[over].frame->size();
  if (over == 0) return;
  lost_ = waiting_[over - 1].sequence;
  drop_front(over);
}

void ReplayQueue::confirm(std::uint64_t sequence) {
  std::size_t count = 0;
  while (count < waiting_.size() && waiting_[count].sequence <= sequence) ++count;
  if (count == 0) return;
  lost_ = waiting_[count - 1].sequence;
  drop_front(count);
}

void ReplayQueue::give_up(std::uint64_t sequence) {
  drop_front(waiting_.size());
  lost_ = sequence;
}

void ReplayQueue::drop_front(std::size_t count) {
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
  for (auto it = waiting_.begin(); it != end; ++it) bytes_ -= it->frame->size();
  waiting_.erase(waiting_.begin(), end);
  if (waiting_.empty()) std::vector<Waiting>().swap(waiting_);
}

namespace {

bool is_plain_text(std::string_view text) {
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  };
  return is_valid_utf8(text) && std::none_of(text.begin(), text.end(), is_control);
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

bool is_room_name(std::string_view text) {
  return !text.empty() && text.size() <= Room::kMaxNameBytes && is_plain_text(text);
}

bool is_member_name(std::string_view text) {
  return is_plain_text(text) && characters(text) <= Room::kMaxMemberName;
}

}  // namespace turnpike::signaling
