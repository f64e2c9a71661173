// A room and its members. Owned by the Hub; refer to them by handle. Single thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/slab.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "signaling/dialect.h"
#include "signaling/peer.h"
#include "signaling/source_shares.h"

namespace turnpike::signaling {

struct Room;
using RoomHandle = Handle<Room>;
using MemberHandle = Handle<Member>;

// What a dialect made of a message, shared by all that wait for it.
using Frame = std::shared_ptr<const std::string>;

// What a member may have missed: the messages that its peer has not confirmed. Bounded; what falls
// out is lost, and a session that needs it cannot be resumed.
class ReplayQueue {
 public:
  static constexpr std::size_t kMaxMessages = 256;
  static constexpr std::size_t kMaxBytes = 256 * 1024;

  struct Waiting {
    std::uint64_t sequence;
    Frame frame;
  };
  void push(std::uint64_t sequence, Frame frame);
  void confirm(std::uint64_t sequence);
  // There is no place for this message: nothing up to it can be replayed.
  void give_up(std::uint64_t sequence);
  // Whether everything after `received` is still here.
  bool reaches_back_to(std::uint64_t received) const { return received >= lost_; }
  const std::vector<Waiting>& waiting() const { return waiting_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void drop_front(std::size_t count);
  std::vector<Waiting> waiting_;
  std::size_t bytes_ = 0;
  std::uint64_t lost_ = 0;  // the highest number that is here no more
};

struct Member {
  Timer timer;  // present: credentials are renewed; away: the resume window ends
  RoomHandle room;
  SourceMark source;  // it came from there last
  std::string id;     // public
  std::string name;   // what it calls itself
  std::array<std::uint8_t, 16> secret{};
  PeerHandle peer;        // empty: away
  bool has_echo = false;  // in the room "echo": the built-in member is there
  const Dialect* dialect = nullptr;
  std::uint64_t order = 0;  // of joining; who has the higher one is polite
  std::uint64_t sequence = 0;
  ReplayQueue replay;
  // Credentials: one name for the whole stay, so that one revocation ends all of them.
  std::string credential_key;   // 8 digits, of the invitation; empty: no credentials
  std::string credential_base;  // "member-9fK..."
  std::string credential_name;  // as minted: both together
  WallTime credential_expires;

  bool away() const { return !peer; }
};

struct Room {
  static constexpr std::size_t kMaxMembers = 64;
  static constexpr std::size_t kMaxNameBytes = 128;
  static constexpr std::size_t kMaxMemberName = 64;  // characters

  std::string name;
  SourceMark opener;
  std::vector<MemberHandle> members;  // in the order of joining
  std::uint64_t next_order = 1;
  // The room "echo": its members do not meet, and their number is limited elsewhere (echo_desk.h).
  bool apart = false;
};

// Valid UTF-8 without control characters, 1 to Room::kMaxNameBytes bytes.
bool is_room_name(std::string_view text);
bool is_member_name(std::string_view text);  // may be empty

}  // namespace turnpike::signaling
