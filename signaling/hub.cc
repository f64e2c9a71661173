#include "signaling/hub.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/hash.h"

namespace turnpike::signaling {

namespace {

constexpr std::size_t kMemberIdBytes = 9;
constexpr std::size_t kCredentialNameBytes = 12;
// A session names its member (8 bytes, the packed handle) and proves it (16 random bytes).
constexpr std::size_t kSessionHandleBytes = 8;

MemberView view_of(const Member& member, bool polite) {
  return {member.id, member.name, polite, member.away()};
}

// With --open-rooms nobody needs an invitation; the relay's quota then counts all under one key.
constexpr std::string_view kOpenRoomsKey = "open rooms";

}  // namespace

Hub::Hub(Settings settings, const Minter& minter, const InvitationSigner& signer, Random& random,
         Clockwork clockwork)
    : settings_(settings),
      minter_(minter),
      signer_(signer),
      random_(random),
      clockwork_(clockwork),
      away_(settings.away) {}

std::size_t Hub::NameHash::operator()(std::string_view text) const {
  return hash_bytes(as_bytes(text));
}

// --- entering ---

Expected<RoomHandle, Refusal> Hub::enter(std::string_view name, SourceMark source) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) {
    const Room* room = rooms_.find(found->second);
    CHECK(room != nullptr);
    if (room->members.size() >= Room::kMaxMembers && !room->apart) {
      return unexpected(Refusal{ErrorCode::kRoomFull, "the room is full"});
    }
    return found->second;
  }
  if (settings_.gate != nullptr && !settings_.gate->rooms().has(source)) {
    return unexpected(
        Refusal{ErrorCode::kTooManyRooms, "too many rooms were opened from your address"});
  }
  const RoomHandle handle = rooms_.emplace();
  if (!handle) return unexpected(Refusal{ErrorCode::kTooManyRooms, "the server has no more rooms"});
  if (settings_.gate != nullptr) settings_.gate->rooms().take(source);
  rooms_.find(handle)->name = name;
  rooms_.find(handle)->opener = source;
  rooms_.find(handle)->apart = settings_.echo != nullptr && name == kEchoRoom;
  by_name_.emplace(std::string(name), handle);
  return handle;
}

std::optional<Refusal> Hub::judge(Tick now, const Caller& caller, const JoinRequest& request,
                                  std::string& credential_key) const {
  if (!is_room_name(request.room)) {
    return Refusal{ErrorCode::kBadRoom, "a room has 1 to 128 bytes of plain text"};
  }
  if (!is_member_name(request.name)) {
    return Refusal{ErrorCode::kBadMessage, "a name has up to 64 characters of plain text"};
  }
  if (!request.invitation.empty()) {
    const auto invitation = signer_.verify(request.invitation, now.wall);
    if (!invitation || !invitation->admits(request.room)) {
      return Refusal{ErrorCode::kBadInvitation, "the invitation is expired or not for this room"};
    }
    credential_key = minter_.key_id(request.invitation);
    return std::nullopt;
  }
  if (settings_.gate != nullptr) {
    const auto grant = settings_.gate->judge(now, caller.source, request.token);
    if (!grant && grant.error() == TokenFault::kTooManyWrong) {
      return Refusal{ErrorCode::kTooFast, to_sentence(grant.error())};
    }
    if (!grant || !grant->admits(request.room)) {
      return Refusal{ErrorCode::kBadToken, "this room asks for a token that opens it"};
    }
  }
  if (settings_.open_rooms) credential_key = minter_.key_id(kOpenRoomsKey);
  return std::nullopt;
}

Expected<MemberHandle, Refusal> Hub::join(Tick now, const Caller& caller,
                                          const JoinRequest& request, HubSink& sink) {
  if (draining_) {
    return unexpected(Refusal{ErrorCode::kDraining, "this server is about to stop: try another"});
  }
  std::string credential_key;
  if (const auto refusal = judge(now, caller, request, credential_key)) {
    return unexpected(*refusal);
  }
  if (members_.size() >= kMaxMembers) {
    return unexpected(Refusal{ErrorCode::kTooManyRooms, "the server has no more places"});
  }
  const bool echo = settings_.echo != nullptr && request.room == kEchoRoom;
  if (const auto why = echo ? settings_.echo->refusal(caller.source) : std::nullopt) {
    return unexpected(Refusal{ErrorCode::kRoomFull, *why});
  }
  const SourceMark source(caller.source);
  const auto room = enter(request.room, source);
  if (!room) return unexpected(room.error());
  const MemberHandle handle = members_.emplace();
  CHECK(handle);
  Member& member = *members_.find(handle);
  member.room = *room;
  member.source = source;
  member.id = "m-" + random_.token(kMemberIdBytes);
  member.name = request.name;
  random_.fill(member.secret);
  member.peer = caller.peer;
  member.dialect = caller.dialect;
  member.credential_key = std::move(credential_key);
  member.has_echo = echo;
  if (echo) settings_.echo->on_guest(now, handle.pack(), caller.source);
  admit(now, handle, member, sink);
  return handle;
}

void Hub::admit(Tick now, MemberHandle handle, Member& member, HubSink& sink) {
  member.timer.name(clockwork_.timer_kind, handle.pack());
  Room& room = *rooms_.find(member.room);
  member.order = room.next_order++;
  Joined joined;
  const std::string session = session_of(handle, member);
  joined.session = session;
  joined.room = room.name;
  joined.self = view_of(member, false);
  joined.others = others_of(member);
  joined.resume_window = kResumeWindow;
  std::string servers;
  joined.ice = mint(now, member, servers);
  room.members.push_back(handle);
  say(member, joined, ++member.sequence, sink);
  // Who was there first is impolite towards who came later.
  broadcast(member, MemberJoined{view_of(member, false)}, sink);
}

std::vector<MemberView> Hub::others_of(const Member& member) const {
  std::vector<MemberView> others;
  // As one that came later: so it is the guest who offers, at once.
  if (member.has_echo) others.push_back({kEchoId, kEchoName, false, false});
  if (rooms_.find(member.room)->apart) return others;
  for (const MemberHandle handle : rooms_.find(member.room)->members) {
    const Member& other = *members_.find(handle);
    if (&other != &member) others.push_back(view_of(other, member.order > other.order));
  }
  return others;
}

std::string Hub::session_of(MemberHandle handle, const Member& member) const {
  std::array<std::uint8_t, kSessionHandleBytes + std::tuple_size_v<decltype(member.secret)>> bytes;
  turnpike::Writer out(bytes);
  out.u64(handle.pack());
  out.bytes(member.secret);
  return base64url_encode(bytes);
}

MemberHandle Hub::by_session(std::string_view session) const {
  const auto decoded = base64url_decode(session);
  if (!decoded) return {};
  turnpike::Reader in(as_bytes(*decoded));
  const MemberHandle handle = MemberHandle::unpack(in.u64());
  const Member* member = members_.find(handle);
  if (!in.ok() || member == nullptr) return {};
  return equal_in_constant_time(in.rest(), member->secret) ? handle : MemberHandle{};
}

Expected<MemberHandle, Refusal> Hub::resume(Tick now, const Caller& caller,
                                            const ResumeRequest& request, HubSink& sink) {
  const MemberHandle handle = by_session(request.session);
  Member* member = members_.find(handle);
  const Refusal unknown{ErrorCode::kUnknownSession, "too late or a wrong session: join again"};
  if (member == nullptr || request.received > member->sequence) return unexpected(unknown);
  if (!member->replay.reaches_back_to(request.received)) {
    // Too much was missed. Its client is here and will join anew, so nobody waits for this one.
    end(now, handle, LeaveReason::kLost, sink);
    return unexpected(unknown);
  }
  if (member->away()) no_longer_away(*member, handle);
  const PeerHandle before = std::exchange(member->peer, caller.peer);
  member->source = SourceMark(caller.source);
  member->dialect = caller.dialect;
  confirm(*member, request.received);
  if (before) sink.dismiss(before, Dismissal::kResumedElsewhere);
  Resumed resumed;
  resumed.room = rooms_.find(member->room)->name;
  resumed.self = view_of(*member, false);
  resumed.others = others_of(*member);
  member->timer.disarm();
  std::string servers;
  resumed.ice = mint(now, *member, servers);
  say(*member, resumed, 0, sink);
  replay(*member, sink);
  if (!before) broadcast(*member, MemberBack{member->id}, sink);
  return handle;
}

// --- inside ---

std::optional<Refusal> Hub::send(Tick now, MemberHandle from, const SendRequest& request,
                                 HubSink& sink) {
  const Member* member = members_.find(from);
  if (member == nullptr) return Refusal{ErrorCode::kNotJoined, "join a room first"};
  if (rooms_.find(member->room)->apart) return send_to_echo(now, from, request);
  if (!request.to) {
    broadcast(*member, Relayed{member->id, std::nullopt, request.data}, sink);
    return std::nullopt;
  }
  for (const MemberHandle handle : rooms_.find(member->room)->members) {
    Member& other = *members_.find(handle);
    if (other.id != *request.to) continue;
    const HubMessage message = Relayed{member->id, *request.to, request.data};
    Encoded encoded(message);
    push(other, encoded, sink, Keep::kForReplay);
    return std::nullopt;
  }
  return Refusal{ErrorCode::kNoSuchMember, "nobody in the room has this id"};
}

std::optional<Refusal> Hub::send_ice(Tick now, MemberHandle handle, HubSink& sink) {
  Member* member = members_.find(handle);
  if (member == nullptr) return Refusal{ErrorCode::kNotJoined, "join a room first"};
  if (member->credential_key.empty()) {
    return Refusal{ErrorCode::kNotInvited, "relay credentials need an invitation"};
  }
  std::string servers;
  const HubMessage message = FreshIce{mint(now, *member, servers)};
  Encoded encoded(message);
  // Whoever resumes gets fresh ones with the answer; these would only be older.
  push(*member, encoded, sink, Keep::kNo);
  return std::nullopt;
}

// Renews under the same name, and sees to it that this happens again well before the expiry.
IceView Hub::mint(Tick now, Member& member, std::string& servers) {
  if (member.credential_key.empty()) return {};
  if (member.credential_base.empty()) {
    member.credential_base = "member-" + random_.token(kCredentialNameBytes);
  }
  constexpr seconds kTtl = Minter::kMaxMemberTtl;
  const MintedCredential credential =
      minter_.mint(member.credential_base, member.credential_key, kTtl, now.wall);
  member.credential_name = credential.name;
  member.credential_expires = credential.expires;
  servers = minter_.ice_servers(credential).dump();
  clockwork_.wheel.arm(member.timer, now.mono + kTtl * 3 / 4);
  return {servers, kTtl};
}

const Frame& Hub::Encoded::in(const Dialect& dialect) {
  for (const auto& [known, frame] : done_) {
    if (known == &dialect) return frame;
  }
  done_.emplace_back(&dialect, std::make_shared<const std::string>(dialect.encode(message_)));
  return done_.back().second;
}

void Hub::broadcast(const Member& except, const HubMessage& message, HubSink& sink) {
  const Room& room = *rooms_.find(except.room);
  if (room.apart) return;
  Encoded encoded(message);
  for (const MemberHandle handle : room.members) {
    Member& member = *members_.find(handle);
    if (&member != &except) push(member, encoded, sink, Keep::kForReplay);
  }
}

void Hub::announce(const HubMessage& message, HubSink& sink) {
  Encoded encoded(message);
  members_.for_each(
      [&](MemberHandle, Member& member) { push(member, encoded, sink, Keep::kForReplay); });
}

void Hub::push(Member& member, Encoded& message, HubSink& sink, Keep kept) {
  const Frame& frame = message.in(*member.dialect);
  if (frame->empty()) return;
  const std::uint64_t sequence = ++member.sequence;
  if (kept == Keep::kForReplay) keep(member, sequence, frame);
  if (member.away()) return;
  scratch_.clear();
  member.dialect->address(*frame, sequence, scratch_);
  sink.deliver(member.peer, scratch_);
}

void Hub::keep(Member& member, std::uint64_t sequence, const Frame& frame) {
  replay_bytes_ -= member.replay.bytes();
  if (replay_bytes_ + member.replay.bytes() + frame->size() > kMaxReplayBytes) {
    member.replay.give_up(sequence);
  } else {
    member.replay.push(sequence, frame);
  }
  replay_bytes_ += member.replay.bytes();
}

void Hub::confirm(Member& member, std::uint64_t sequence) {
  replay_bytes_ -= member.replay.bytes();
  member.replay.confirm(sequence);
  replay_bytes_ += member.replay.bytes();
}

void Hub::say(const Member& member, const HubMessage& message, std::uint64_t sequence,
              HubSink& sink) {
  const std::string encoded = member.dialect->encode(message);
  if (encoded.empty()) return;
  scratch_.clear();
  member.dialect->address(encoded, sequence, scratch_);
  sink.deliver(member.peer, scratch_);
}

void Hub::replay(const Member& member, HubSink& sink) {
  for (const auto& [sequence, frame] : member.replay.waiting()) {
    scratch_.clear();
    member.dialect->address(*frame, sequence, scratch_);
    sink.deliver(member.peer, scratch_);
  }
}

// --- going ---

void Hub::leave(Tick now, MemberHandle member, HubSink& sink) {
  end(now, member, LeaveReason::kLeft, sink);
}

void Hub::lost(Tick now, MemberHandle handle, PeerHandle peer, HubSink& sink) {
  if (!is_member(handle, peer)) return;
  Member& member = *members_.find(handle);
  if (const auto first = away_.first_to_yield(member.source)) {
    end(now, MemberHandle::unpack(*first), LeaveReason::kLost, sink);
  }
  member.peer = {};
  if (member.has_echo) {
    end_echo(now, handle, member);
    const HubMessage message = MemberLeft{kEchoId, LeaveReason::kLeft};
    Encoded encoded(message);
    push(member, encoded, sink, Keep::kForReplay);
  }
  clockwork_.wheel.arm(member.timer, now.mono + kResumeWindow);
  away_.add({member.source, member.timer.deadline(), handle.pack()});
  broadcast(member, MemberAway{member.id}, sink);
}

void Hub::no_longer_away(const Member& member, MemberHandle handle) {
  away_.remove({member.source, member.timer.deadline(), handle.pack()});
}

std::optional<std::string> Hub::room_of(std::string_view id) const {
  std::optional<std::string> room;
  members_.for_each([&](MemberHandle, const Member& member) {
    if (member.id == id) room = rooms_.find(member.room)->name;
  });
  return room;
}

bool Hub::kick(Tick now, std::string_view room_name, std::string_view id, HubSink& sink) {
  const auto found = by_name_.find(room_name);
  if (found == by_name_.end()) return false;
  for (const MemberHandle handle : rooms_.find(found->second)->members) {
    if (members_.find(handle)->id != id) continue;
    end(now, handle, LeaveReason::kKicked, sink);
    return true;
  }
  return false;
}

void Hub::end(Tick now, MemberHandle handle, LeaveReason reason, HubSink& sink) {
  Member* member = members_.find(handle);
  if (member == nullptr) return;
  broadcast(*member, MemberLeft{member->id, reason}, sink);
  end_echo(now, handle, *member);
  if (member->credential_expires > now.wall) {
    sink.revoke(member->credential_name, member->credential_expires);
  }
  const PeerHandle peer = member->peer;
  Room& room = *rooms_.find(member->room);
  std::erase(room.members, handle);
  if (member->away()) no_longer_away(*member, handle);
  if (room.members.empty()) {
    if (settings_.gate != nullptr) settings_.gate->rooms().give_back(room.opener);
    by_name_.erase(room.name);
    rooms_.erase(member->room);
  }
  replay_bytes_ -= member->replay.bytes();
  members_.erase(handle);
  if (!peer) return;
  sink.dismiss(peer, reason == LeaveReason::kKicked ? Dismissal::kRemoved : Dismissal::kLeft);
}

void Hub::on_timer(Tick now, Timer& timer, HubSink& sink) {
  const MemberHandle handle = MemberHandle::unpack(timer.subject());
  const Member* member = members_.find(handle);
  CHECK(member != nullptr);
  if (member->away()) {
    end(now, handle, LeaveReason::kLost, sink);
  } else {
    send_ice(now, handle, sink);
  }
}

// --- the echo ---

std::optional<Refusal> Hub::send_to_echo(Tick now, MemberHandle from, const SendRequest& request) {
  const bool present = members_.find(from)->has_echo;
  if (request.to && (!present || *request.to != kEchoId)) {
    return Refusal{ErrorCode::kNoSuchMember, "nobody in the room has this id"};
  }
  if (present) settings_.echo->on_message(now, from.pack(), request.data);
  return std::nullopt;
}

void Hub::end_echo(Tick now, MemberHandle handle, Member& member) {
  if (std::exchange(member.has_echo, false)) settings_.echo->on_gone(now, handle.pack());
}

void Hub::hear_echo(HubSink& sink) {
  while (const auto word = settings_.echo->next_word()) {
    Member* member = members_.find(MemberHandle::unpack(word->guest));
    if (member == nullptr || !member->has_echo) continue;
    if (!word->data.empty()) {
      const HubMessage message = Relayed{kEchoId, member->id, word->data};
      Encoded encoded(message);
      // Whoever is lost loses its echo as well.
      push(*member, encoded, sink, Keep::kNo);
    }
    if (!word->leaves) continue;
    member->has_echo = false;
    const HubMessage message = MemberLeft{kEchoId, LeaveReason::kLeft};
    Encoded encoded(message);
    push(*member, encoded, sink, Keep::kForReplay);
  }
}

// --- questions ---

bool Hub::is_member(MemberHandle handle, PeerHandle peer) const {
  const Member* member = members_.find(handle);
  return member != nullptr && peer && member->peer == peer;
}

void Hub::confirm(MemberHandle handle, PeerHandle peer, std::uint64_t sequence) {
  if (is_member(handle, peer)) confirm(*members_.find(handle), sequence);
}

std::uint64_t Hub::last_sequence(MemberHandle handle) const {
  const Member* member = members_.find(handle);
  return member == nullptr ? 0 : member->sequence;
}

}  // namespace turnpike::signaling
