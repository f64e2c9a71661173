// Engine.IO packets and payloads, protocols 3 and 4: what a packet looks like in a WebSocket frame
// and how polling puts several into one body. Text in is valid UTF-8. Values only.
//
//   WebSocket frame   text:   4hello                     type digit, data
//                     binary: 04 bytes (v3), bytes (v4)  v4: always a message
//   polling, v3       6:4hello2:b4                       the length in UTF-16 units, packet
//                     00 06 ff 4hello 01 05 ff 04 bytes  when a packet of the batch is binary
//   polling, v4       4hello 1e bAQIDBA==                0x1e between packets, binary as base64
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "signaling/engineio.h"

namespace turnpike::signaling::engineio {

enum class Type : std::uint8_t { kOpen, kClose, kPing, kPong, kMessage, kUpgrade, kNoop };

struct Packet {
  Type type = Type::kMessage;
  Kind kind = Kind::kText;
  std::string_view data;  // borrowed
  bool operator==(const Packet&) const = default;
};

// --- one packet ---

// A text frame, or one packet of a text payload. `scratch` holds the bytes of base64.
std::optional<Packet> decode_text(Version version, std::string_view text, std::string& scratch);
std::optional<Packet> decode_binary(Version version, std::string_view bytes);
// A binary packet becomes base64.
void append_as_text(std::string& out, Version version, const Packet& packet);
// As a WebSocket frame of the packet's own kind.
std::string encode_frame(Version version, const Packet& packet);

// --- the body of a GET or POST ---

enum class BodyFormat : std::uint8_t { kText, kBinary };  // kBinary: protocol 3 only

// Pulls packets out of a body without copying it.
class PayloadReader {
 public:
  static constexpr std::uint32_t kMaxPackets = 16384;  // of one body; then it is refused
  static constexpr std::size_t kMaxLengthDigits = 9;

  enum class Status : std::uint8_t { kPacket, kEnd, kBad };

  PayloadReader(Version version, BodyFormat format, std::string_view body)
      : version_(version), format_(format), rest_(body) {}
  // An empty body is bad; after kEnd and kBad the same is answered again. `packet` lives until the
  // next call.
  Status next(Packet& packet);

 private:
  std::optional<Packet> pull();
  std::optional<std::string_view> pull_separated();
  std::optional<std::string_view> pull_counted();
  std::optional<Packet> pull_binary();

  Version version_;
  BodyFormat format_;
  std::string_view rest_;
  std::string scratch_;
  std::uint32_t count_ = 0;
  bool bad_ = false;
  bool more_ = true;  // a separator asks for a packet behind it
};

// Text data of protocol 3 gets its non-ASCII characters escaped inside JSON strings. Text of
// protocol 4 must not hold U+001E; JSON never does.
std::string encode_payload(Version version, BodyFormat format, std::span<const Packet> packets);

// Every non-ASCII character inside a JSON string as \uXXXX, astral ones as a surrogate pair; what
// is outside of strings stays. Clients of 1.x decode UTF-8 once too often, which ASCII survives.
std::string escape_json_strings(std::string_view text);
std::size_t utf16_length(std::string_view text);

// --- JSONP ---

// `___eio[index]("payload");`
std::string wrap_jsonp(std::string_view index, std::string_view payload);
// The payload of a posted form; nullopt when there is none.
std::optional<std::string> unwrap_jsonp(std::string_view form);

}  // namespace turnpike::signaling::engineio
