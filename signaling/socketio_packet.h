// Socket.IO packets, protocols 4 and 5, as they travel inside Engine.IO messages: read from text
// and written to it. Payloads are checked JSON text, taken apart one level and otherwise passed on.
// Values only.
//
//   <type>[<attachments>-][/<namespace>,][<ack id>][<JSON>] 51-/chat,7["up",{"_placeholder"...
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "signaling/engineio.h"

namespace turnpike::signaling::socketio {

enum class Type : std::uint8_t {
  kConnect = 0,
  kDisconnect = 1,
  kEvent = 2,
  kAck = 3,
  kConnectError = 4,  // ERROR with protocol 4
  kBinaryEvent = 5,
  kBinaryAck = 6,
};

inline constexpr std::size_t kMaxAttachments = 10;      // of one packet
inline constexpr std::size_t kMaxElements = 64;         // of an event: its name and its arguments
inline constexpr std::size_t kMaxNamespaceText = 1024;  // bytes, the query of protocol 4 included

// What a client sent. Borrows the text it was read from.
struct Packet {
  Type type = Type::kEvent;
  std::size_t attachments = 0;
  std::string_view name_space = "/";
  std::string_view query;  // protocol 4: behind the '?' of the namespace
  std::optional<std::uint64_t> id;
  std::string_view payload;                // JSON text; empty: none
  std::vector<std::string_view> elements;  // of the payload of events and acks
};

// nullopt for what no client of that protocol may send: the session is to be closed. Reserved event
// names, payloads of the wrong shape and placeholders without an attachment are such.
std::optional<Packet> parse_packet(engineio::Version version, std::string_view text);

// False when an object in `json` (checked text) claims to stand for an attachment that is not among
// the first `attachments`. Clients that meet one give up their connection.
bool placeholders_fit(std::string_view json, std::size_t attachments);

// The packet up to its payload.
void append_head(std::string& out, Type type, std::size_t attachments, std::string_view name_space,
                 std::optional<std::uint64_t> id = std::nullopt);
// ["name",args...,"last"]; without `last` when it is empty.
void append_event(std::string& out, std::string_view name, std::span<const std::string_view> args,
                  std::string_view last = {});
// [args...]
void append_array(std::string& out, std::span<const std::string_view> args);

}  // namespace turnpike::signaling::socketio
