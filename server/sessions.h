// What operators see of live allocations: rows that workers make of theirs when they are asked, and
// how an allocation is named from outside ("1-5a000000c3": worker and handle). Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "turn/path.h"

namespace turnpike::server {

inline constexpr std::size_t kMaxSessionRows = 1000;  // of one answer

struct SessionId {
  std::uint32_t worker = 0;
  std::uint64_t allocation = 0;
  auto operator<=>(const SessionId&) const = default;

  std::string to_string() const;
  static std::optional<SessionId> parse(std::string_view text);
};

// Which allocations are meant.
struct SessionWish {
  // Whose name is one of these, or one of these and "~" and the key that minted it; empty: all.
  std::vector<std::string> names;
  std::optional<SessionId> after;  // only those that come later than this one
  std::size_t limit = kMaxSessionRows;
};
bool is_meant(const SessionWish& wish, std::string_view name);

struct SessionRow {
  SessionId id;
  std::string user;
  turn::Transport transport = turn::Transport::kUdp;
  Address client;
  std::vector<Address> relayed;  // as the client was told
  bool tcp = false;              // relays TCP (RFC 6062)
  std::uint64_t bytes_to_peers = 0;
  std::uint64_t bytes_to_client = 0;
  std::uint32_t permissions = 0;
  std::uint32_t channels = 0;
  std::int64_t seconds_left = 0;
};

// In the order of their ids, `limit` at most, and whether there are more.
struct SessionPage {
  std::vector<SessionRow> rows;
  bool more = false;
};
// What several workers answered to one wish.
SessionPage merge(std::vector<SessionPage> pages, std::size_t limit);

}  // namespace turnpike::server
