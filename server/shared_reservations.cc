#include "server/shared_reservations.h"

#include "base/check.h"
#include "net/syscalls.h"

namespace turnpike::server {

SharedReservations::~SharedReservations() {
  for (const auto& [token, entry] : entries_) net::syscalls().close(entry.socket.fd);
}

turn::ReservationToken SharedReservations::add(const Socket& socket,
                                               const turn::QuotaSubject& subject) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMaximum) return 0;
  const auto held = by_name_.find(subject.name);
  if (held != by_name_.end() && held->second >= kMaxPerUser) return 0;
  turn::ReservationToken token = 0;
  while (token == 0 || entries_.contains(token)) token = random_.u64();
  entries_.emplace(token, Entry{socket, subject});
  ++by_name_[subject.name];
  return token;
}

// A token that was overheard is of no use to another user (RFC 8656 leaves that to the server).
Expected<turn::ClaimedRelay, turn::RelayError> SharedReservations::claim(
    turn::ReservationToken token, std::string_view name, const Adopt& adopt) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(token);
  if (entry == entries_.end() || entry->second.subject.name != name) {
    return unexpected(turn::RelayError::kNoReservation);
  }
  const auto relay = adopt(entry->second.socket);
  if (!relay) return unexpected(relay.error());
  const IpAddress charged_for = entry->second.subject.client;
  erase(entry);
  return turn::ClaimedRelay{*relay, charged_for};
}

bool SharedReservations::drop(turn::ReservationToken token) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(token);
  if (entry == entries_.end()) return false;
  net::syscalls().close(entry->second.socket.fd);
  erase(entry);
  return true;
}

std::size_t SharedReservations::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::vector<SharedReservations::Reserved> SharedReservations::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Reserved> all;
  for (const auto& [token, entry] : entries_) {
    all.push_back({token, entry.socket.local, entry.subject});
  }
  return all;
}

void SharedReservations::erase(Entries::iterator entry) {
  const auto held = by_name_.find(entry->second.subject.name);
  CHECK(held != by_name_.end());
  if (--held->second == 0) by_name_.erase(held);
  entries_.erase(entry);
}

}  // namespace turnpike::server
