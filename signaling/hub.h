// The hub: rooms, their members, and who may do what. It speaks in HubMessage, never in bytes of a
// dialect, and reaches clients through a HubSink. A member outlives its connection by the resume
// window, and what it misses is kept, in bounds, until it comes back. Single thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/findings.h"
#include "base/random.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "signaling/away_list.h"
#include "signaling/dialect.h"
#include "signaling/echo_desk.h"
#include "signaling/gate.h"
#include "signaling/ice_servers.h"
#include "signaling/invitation.h"
#include "signaling/peer.h"
#include "signaling/room.h"

namespace turnpike::signaling {

enum class Dismissal : std::uint8_t { kLeft, kRemoved, kResumedElsewhere };

// Where the hub's words go. None of these may call the hub back before it has returned.
class HubSink {
 public:
  virtual ~HubSink() = default;
  virtual void deliver(PeerHandle peer, std::string_view text) = 0;
  // The peer is no member any more; its connection is to be closed.
  virtual void dismiss(PeerHandle peer, Dismissal why) = 0;
  virtual void revoke(std::string_view name, WallTime until) = 0;
};

struct Refusal {
  ErrorCode code;
  std::string_view why;  // a constant
};

class Hub {
 public:
  static constexpr std::uint32_t kMaxRooms = 16384;
  static constexpr std::uint32_t kMaxMembers = 65536;  // of all rooms, those away included
  static constexpr seconds kResumeWindow{120};
  // Of all replay queues together; a message that many wait for counts for each of them. A member
  // whose message finds no place cannot resume, should its connection be lost before it confirms.
  static constexpr std::size_t kMaxReplayBytes = 256u << 20;

  struct Settings {
    bool open_rooms = false;  // credentials without an invitation
    // What rooms ask of those who join, unless an invitation admits them, and whose share of rooms
    // they open. nullptr: nothing is asked or counted.
    Gate* gate = nullptr;
    AwayList::Limits away = {};  // who went first ends early
    EchoDesk* echo = nullptr;    // nullptr: the room "echo" is one like any other
  };
  // Timers are armed in `wheel` with `timer_kind`; their owner hands them back to on_timer.
  struct Clockwork {
    TimerWheel& wheel;
    std::uint32_t timer_kind;
  };
  Hub(Settings settings, const Minter& minter, const InvitationSigner& signer, Random& random,
      Clockwork clockwork);

  struct Caller {
    PeerHandle peer;
    const Dialect* dialect;
    IpAddress source;
  };
  Expected<MemberHandle, Refusal> join(Tick now, const Caller& caller, const JoinRequest& request,
                                       HubSink& sink);
  Expected<MemberHandle, Refusal> resume(Tick now, const Caller& caller,
                                         const ResumeRequest& request, HubSink& sink);
  std::optional<Refusal> send(Tick now, MemberHandle from, const SendRequest& request,
                              HubSink& sink);
  std::optional<Refusal> send_ice(Tick now, MemberHandle member, HubSink& sink);
  void leave(Tick now, MemberHandle member, HubSink& sink);
  // The connection of `peer` is gone. The member stays, away, until the resume window ends.
  void lost(Tick now, MemberHandle member, PeerHandle peer, HubSink& sink);
  // Where the member of this id is; nullopt: nowhere.
  std::optional<std::string> room_of(std::string_view id) const;
  bool kick(Tick now, std::string_view room, std::string_view id, HubSink& sink);
  // The peer has taken in everything up to this sequence number; nothing of it is kept.
  void confirm(MemberHandle member, PeerHandle peer, std::uint64_t sequence);
  std::uint64_t last_sequence(MemberHandle member) const;
  void on_timer(Tick now, Timer& timer, HubSink& sink);
  // From now on nobody joins; who is in stays, and may resume.
  void drain() { draining_ = true; }
  // To all members, those who are away included.
  void announce(const HubMessage& message, HubSink& sink);
  // Passes on what the echo has to say, if there is anything.
  void hear_echo(HubSink& sink);
  bool echo_speaks() const { return settings_.echo != nullptr && settings_.echo->has_word(); }

  // Whether this peer is this member now: it may have been ended, or resumed elsewhere.
  bool is_member(MemberHandle member, PeerHandle peer) const;
  // visit(const Room&, const std::vector<const Member*>&), members in the order of joining.
  template <typename Visitor>
  void for_each_room(Visitor&& visit) const {
    std::vector<const Member*> members;
    rooms_.for_each([&](RoomHandle, const Room& room) {
      members.clear();
      for (const MemberHandle handle : room.members) members.push_back(members_.find(handle));
      visit(room, members);
    });
  }
  std::size_t room_count() const { return rooms_.size(); }
  std::size_t member_count() const { return members_.size(); }
  std::size_t away_count() const { return away_.size(); }
  // Whether rooms and members know each other, and counts are what is there.
  void audit(Findings& findings) const;

 private:
  friend struct Tampering;  // tests make what audits are to find

  // One HubMessage on its way to many: encoded once for each dialect that is met.
  class Encoded {
   public:
    explicit Encoded(const HubMessage& message) : message_(message) {}
    const Frame& in(const Dialect& dialect);

   private:
    const HubMessage& message_;
    std::vector<std::pair<const Dialect*, Frame>> done_;
  };
  enum class Keep : std::uint8_t { kNo, kForReplay };
  struct NameHash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(std::string_view text) const;
  };

  // Why this client may not enter, if it may not; nullopt with `credential_key` filled when it may.
  std::optional<Refusal> judge(Tick now, const Caller& caller, const JoinRequest& request,
                               std::string& credential_key) const;
  Expected<RoomHandle, Refusal> enter(std::string_view name, SourceMark source);
  void no_longer_away(const Member& member, MemberHandle handle);
  void admit(Tick now, MemberHandle handle, Member& member, HubSink& sink);
  std::vector<MemberView> others_of(const Member& member) const;
  void end_echo(Tick now, MemberHandle handle, Member& member);
  std::optional<Refusal> send_to_echo(Tick now, MemberHandle from, const SendRequest& request);
  MemberHandle by_session(std::string_view session) const;
  std::string session_of(MemberHandle handle, const Member& member) const;
  IceView mint(Tick now, Member& member, std::string& servers);
  void broadcast(const Member& except, const HubMessage& message, HubSink& sink);
  void push(Member& member, Encoded& message, HubSink& sink, Keep kept);
  void say(const Member& member, const HubMessage& message, std::uint64_t sequence, HubSink& sink);
  void keep(Member& member, std::uint64_t sequence, const Frame& frame);
  void confirm(Member& member, std::uint64_t sequence);
  void replay(const Member& member, HubSink& sink);
  void end(Tick now, MemberHandle handle, LeaveReason reason, HubSink& sink);

  Settings settings_;
  const Minter& minter_;
  const InvitationSigner& signer_;
  Random& random_;
  Clockwork clockwork_;
  mutable Slab<Room> rooms_{kMaxRooms};
  mutable Slab<Member> members_{kMaxMembers};
  boost::unordered_flat_map<std::string, RoomHandle, NameHash, std::equal_to<>> by_name_;
  AwayList away_;
  std::size_t replay_bytes_ = 0;  // in all replay queues
  std::string scratch_;           // the message being completed
  bool draining_ = false;
};

}  // namespace turnpike::signaling
