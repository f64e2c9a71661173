// The seam between the hub and the wires. Clients speak dialects; the hub speaks in ClientMessage
// and HubMessage and knows no byte of any of them, and a Dialect knows no room. A dialect is
// stateless and immutable: one object serves all its connections.
//
// A broadcast is encoded once for each dialect that is present (encode) and completed for each
// recipient (address), because only the sequence number differs between them. A dialect that has no
// word for a HubMessage answers an empty text, and its clients do not hear of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"

namespace turnpike::signaling {

enum class ErrorCode : std::uint8_t {
  kBadMessage,
  kNotJoined,
  kAlreadyJoined,
  kBadRoom,
  kBadInvitation,
  kRoomFull,
  kTooManyRooms,
  kUnknownSession,
  kNoSuchMember,
  kNotInvited,
  kTooFast,
  kTooLarge,
  kBadToken,
  kDraining,
};
std::string_view to_text(ErrorCode code);  // "bad-message": stable, documented

enum class LeaveReason : std::uint8_t { kLeft, kLost, kKicked };

// --- from a client ---

struct JoinRequest {
  std::string room;
  std::string name;
  std::string invitation;
  std::string token;  // room_tokens.h
};
struct ResumeRequest {
  std::string session;
  std::uint64_t received = 0;
};
struct SendRequest {
  std::optional<std::string> to;  // nobody named: everybody else in the room
  std::string_view data;          // JSON text, checked; borrowed from the frame
};
struct IceRequest {};
struct PingRequest {};
struct LeaveRequest {};
struct Unintelligible {
  std::string_view why;  // a constant
};

struct ClientMessage {
  std::variant<Unintelligible, JoinRequest, ResumeRequest, SendRequest, IceRequest, PingRequest,
               LeaveRequest>
      request;
  std::string_view reference;  // the client's own mark for answers, as it came; may be empty
};

// --- from the hub; everything is borrowed for the call ---

struct MemberView {
  std::string_view id;
  std::string_view name;
  bool polite = false;  // the recipient towards this member, in perfect negotiation
  bool away = false;
};
struct IceView {
  std::string_view servers;  // JSON text of the iceServers list; empty: no credentials
  seconds ttl{0};
};
struct Joined {
  std::string_view session;
  std::string_view room;
  MemberView self;
  std::vector<MemberView> others;
  IceView ice;
  seconds resume_window{0};
};
struct Resumed {
  std::string_view room;
  MemberView self;
  std::vector<MemberView> others;
  IceView ice;
};
struct MemberJoined {
  MemberView member;
};
struct MemberLeft {
  std::string_view id;
  LeaveReason reason = LeaveReason::kLeft;
};
struct MemberAway {
  std::string_view id;
};
struct MemberBack {
  std::string_view id;
};
struct Relayed {
  std::string_view from;
  std::optional<std::string_view> to;
  std::string_view data;  // JSON text
};
struct FreshIce {
  IceView ice;
};
struct Draining {
  std::optional<seconds> left;  // until connections end; nullopt: whenever the last one has gone
};
struct Failure {
  ErrorCode code = ErrorCode::kBadMessage;
  std::string_view why;
  std::string_view reference;
};
struct Pong {
  std::string_view reference;
};

using HubMessage = std::variant<Joined, Resumed, MemberJoined, MemberLeft, MemberAway, MemberBack,
                                Relayed, FreshIce, Draining, Failure, Pong>;

class Dialect {
 public:
  virtual ~Dialect() = default;
  // Of one message from a client, and of its fragments: the transport refuses more.
  virtual std::size_t max_message() const = 0;
  virtual ClientMessage decode(std::string_view text) const = 0;
  virtual std::string encode(const HubMessage& message) const = 0;
  // Appends the whole message for one recipient. `sequence` 0 means that it has no number.
  virtual void address(std::string_view encoded, std::uint64_t sequence,
                       std::string& out) const = 0;
};

}  // namespace turnpike::signaling
