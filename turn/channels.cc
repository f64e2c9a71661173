#include "turn/channels.h"

#include <algorithm>

#include "base/check.h"

namespace turnpike::turn {

Channels::Bind Channels::may_bind(std::uint16_t number, const Address& peer, MonoTime now) {
  const std::size_t by_number = position(number);
  const std::size_t by_peer = position(peer);
  if (by_number == by_peer && by_number != SlotIndex::kNone) return Bind::kPossible;
  if (live(by_number, now) != nullptr || live(by_peer, now) != nullptr) return Bind::kConflict;
  const bool expired_in_the_way = by_number != SlotIndex::kNone || by_peer != SlotIndex::kNone;
  if (expired_in_the_way || entries_.size() >= maximum_) sweep(now);
  return entries_.size() < maximum_ ? Bind::kPossible : Bind::kFull;
}

void Channels::bind(const Channel& channel) {
  if (const std::size_t at = position(channel.number); at != SlotIndex::kNone) {
    CHECK(entries_[at].peer == channel.peer);
    entries_[at] = channel;
    return;
  }
  CHECK(entries_.size() < maximum_);
  entries_.push_back(channel);
  if (entries_.size() <= kFew) return;
  if (!index_) return index_all();
  const std::size_t at = entries_.size() - 1;
  index_number(at);
  if (!index_->by_peer.add(hash_value(channel.peer), at)) index_all();
}

void Channels::forget(Family family) {
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [family](const Channel& c) { return c.peer.family() == family; }),
                 entries_.end());
  index_all();
}

std::size_t Channels::position(std::uint16_t number) const {
  if (index_) {
    if (number < kFirstChannelNumber || number > kLastChannelNumberRfc5766) return SlotIndex::kNone;
    const std::size_t offset = number - kFirstChannelNumber;
    const Page* page = index_->pages[offset / kPageSize].get();
    const std::size_t slot = page == nullptr ? 0 : (*page)[offset % kPageSize];
    return slot == 0 ? SlotIndex::kNone : slot - 1;
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].number == number) return i;
  }
  return SlotIndex::kNone;
}

std::size_t Channels::position(const Address& peer) const {
  if (index_) {
    return index_->by_peer.find(hash_value(peer),
                                [&](std::size_t i) { return entries_[i].peer == peer; });
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].peer == peer) return i;
  }
  return SlotIndex::kNone;
}

void Channels::sweep(MonoTime now) {
  const auto expired = std::remove_if(entries_.begin(), entries_.end(),
                                      [now](const Channel& c) { return c.expires <= now; });
  if (expired == entries_.end()) return;
  entries_.erase(expired, entries_.end());
  index_all();
}

void Channels::index_all() {
  index_.reset();
  if (entries_.size() <= kFew) return;
  index_ = std::make_unique<Index>();
  for (std::size_t i = 0; i < entries_.size(); ++i) index_number(i);
  index_->by_peer.rebuild(entries_.size(),
                          [&](std::size_t i) { return hash_value(entries_[i].peer); });
}

void Channels::index_number(std::size_t at) {
  const std::size_t offset = entries_[at].number - std::size_t{kFirstChannelNumber};
  std::unique_ptr<Page>& page = index_->pages[offset / kPageSize];
  if (!page) page = std::make_unique<Page>();
  (*page)[offset % kPageSize] = static_cast<std::uint16_t>(at + 1);
}

void Channels::audit(const std::string& whose, Findings& findings) const {
  if (entries_.size() > maximum_) findings.add(whose + " has more channels than may be");
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::string which = "the channel of " + whose + " to " + entries_[i].peer.to_string();
    if (position(entries_[i].number) != i) findings.add(which + " is not found by its number");
    if (position(entries_[i].peer) != i) findings.add(which + " is not found by its peer");
  }
}

}  // namespace turnpike::turn
