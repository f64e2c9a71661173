// SharedReservations: the relay ports that are kept for who brings the token (RFC 8656 section 7.2,
// EVEN-PORT's R bit), one table for all workers, since the client that brings it may be served by
// another worker than the one that reserved. A reserved socket is bound and read by nobody; a claim
// hands the open descriptor over, so the port is never free in between. Touched when a reservation
// begins and ends, never by a packet. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/address.h"
#include "base/expected.h"
#include "base/random.h"
#include "turn/sink.h"

namespace turnpike::server {

class SharedReservations {
 public:
  static constexpr std::size_t kMaximum = 4096;
  static constexpr std::uint32_t kMaxPerUser = 64;

  explicit SharedReservations(Random& random) : random_(random) {}
  ~SharedReservations();
  SharedReservations(const SharedReservations&) = delete;
  SharedReservations& operator=(const SharedReservations&) = delete;

  struct Socket {
    int fd = -1;
    Address local;
  };
  // Takes the descriptor and answers the token; 0, and the descriptor stays the caller's, when as
  // many are reserved as may be, by this user or by all.
  turn::ReservationToken add(const Socket& socket, const turn::QuotaSubject& subject);
  // `adopt` takes the descriptor over, or answers why not: then the reservation stands as before.
  using Adopt = std::function<Expected<turn::Relay, turn::RelayError>(const Socket&)>;
  Expected<turn::ClaimedRelay, turn::RelayError> claim(turn::ReservationToken token,
                                                       std::string_view name, const Adopt& adopt);
  // Closes it; false when it was claimed before.
  bool drop(turn::ReservationToken token);

  std::size_t size() const;
  // For an audit.
  struct Reserved {
    turn::ReservationToken token = 0;
    Address local;
    turn::QuotaSubject subject;
  };
  std::vector<Reserved> list() const;

 private:
  struct Entry {
    Socket socket;
    turn::QuotaSubject subject;
  };
  using Entries = std::unordered_map<turn::ReservationToken, Entry>;
  void erase(Entries::iterator entry);

  Random& random_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::map<std::string, std::uint32_t, std::less<>> by_name_;
};

}  // namespace turnpike::server
