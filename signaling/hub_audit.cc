// The audit of the hub: rooms, members and what is counted of them must agree.
#include <algorithm>
#include <string>

#include "signaling/hub.h"

namespace turnpike::signaling {

void Hub::audit(Findings& findings) const {
  std::size_t inside = 0;
  rooms_.for_each([&](RoomHandle handle, const Room& room) {
    const std::string which = "room " + room.name;
    const auto named = by_name_.find(room.name);
    if (named == by_name_.end() || named->second != handle) {
      findings.add(which + " is not found by its name");
    }
    if (room.members.empty()) findings.add(which + " is empty and still there");
    if (room.members.size() > Room::kMaxMembers && !room.apart) {
      findings.add(which + " has more members than may be");
    }
    for (const MemberHandle one : room.members) {
      const Member* member = members_.find(one);
      if (member == nullptr || member->room != handle) {
        findings.add(which + " has a member who is not in it");
      } else {
        ++inside;
      }
    }
  });
  std::size_t away = 0, replay_bytes = 0;
  members_.for_each([&](MemberHandle handle, const Member& member) {
    replay_bytes += member.replay.bytes();
    if (member.away()) ++away;
    const bool must_wait = member.away() || !member.credential_key.empty();
    if (must_wait && !member.timer.armed()) {
      findings.add("member " + member.id + " waits without a deadline");
    }
    if (member.timer.armed() && member.timer.subject() != handle.pack()) {
      findings.add("the timer of member " + member.id + " names another");
    }
  });
  findings.expect_equal("rooms by name", by_name_.size(), rooms_.size());
  findings.expect_equal("members of all rooms", inside, members_.size());
  findings.expect_equal("members who are away", away_.size(), away);
  findings.expect_equal("bytes kept for members to come back", replay_bytes_, replay_bytes);
}

}  // namespace turnpike::signaling
