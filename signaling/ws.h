// WebSocket (RFC 6455), the server's side of it: the handshake's key, and a reader that turns bytes
// as they come into messages. A Reader holds bytes only of a message that is in flight. It fails at
// the first wrong byte with the close code that says why. Values only, single thread.
//
//    0                   1                   2                   3
//    +-+-+-+-+-------+-+-------------+-------------------------------+
//    |F|R|R|R| opcode|M| length (7)  | extended length (0, 16 or 64) |
//    |I|S|S|S|  (4)  |A|             +-------------------------------+
//    |N|V|V|V|       |S|             | masking key (32), then payload|
//    +-+-+-+-+-------+-+-------------+-------------------------------+
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "signaling/http.h"

namespace turnpike::signaling::ws {

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

// RFC 6455 section 7.4.1; from 4000 on they are ours (docs/signaling.md).
enum class CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kNoStatus = 1005,  // never on the wire
  kInvalidText = 1007,
  kPolicy = 1008,
  kTooLarge = 1009,
  kTryAgainLater = 1013,  // of the registry that RFC 6455 section 11.7 began
  kResumedElsewhere = 4001,
  kLeft = 4002,
  kRemoved = 4003,
};

inline constexpr std::size_t kMaxControlPayload = 125;

struct Limits {
  std::size_t max_message = 64 * 1024;  // then 1009
  std::uint32_t max_fragments = 1024;   // of one message, empty ones included; then 1008
};

struct Message {
  Opcode opcode = Opcode::kText;  // never kContinuation
  std::string payload;
};

// UTF-8, checked in pieces: sequences may be cut anywhere between two calls.
class Utf8Checker {
 public:
  bool feed(std::string_view text);  // false as soon as no continuation could be valid
  bool complete() const { return missing_ == 0; }

 private:
  bool begin(std::uint8_t byte);
  std::uint8_t missing_ = 0;
  std::uint8_t low_ = 0x80;  // what the next continuation byte may be
  std::uint8_t high_ = 0xbf;
};

class Reader {
 public:
  enum class Status : std::uint8_t { kNeedsMore, kMessage, kFailed };

  // Takes bytes from the front of `bytes` until one message is whole.
  Status feed(ByteView& bytes, const Limits& limits, Message& message);
  // Bytes of messages in flight that are kept here.
  std::size_t buffered() const { return data_.size() + control_.size(); }
  CloseCode failure() const { return failure_; }  // after kFailed; the reader is of no more use

 private:
  Status fail(CloseCode code) {
    failure_ = code;
    return Status::kFailed;
  }
  bool take_header(ByteView& bytes);
  bool judge_start();
  bool judge_length(const Limits& limits);
  bool take_payload(ByteView& bytes);
  Status finish_frame(Message& message);
  bool is_control() const { return (header_[0] & 0x08) != 0; }
  bool is_final() const { return (header_[0] & 0x80) != 0; }
  Opcode frame_opcode() const { return static_cast<Opcode>(header_[0] & 0x0f); }
  std::size_t header_size() const;

  std::array<std::uint8_t, 14> header_{};
  std::uint8_t header_have_ = 0;
  bool in_payload_ = false;
  Opcode opcode_ = Opcode::kContinuation;  // of the message in flight; kContinuation: none
  Utf8Checker utf8_;
  CloseCode failure_ = CloseCode::kProtocolError;
  std::uint32_t fragments_ = 0;
  std::uint64_t left_ = 0;   // bytes of this frame that have not come
  std::uint64_t taken_ = 0;  // bytes of this frame that have come: the mask's phase
  std::string data_;
  std::string control_;  // control frames may come between fragments
};

// Appends the head of an unmasked, unfragmented frame.
void append_frame_head(std::string& out, Opcode opcode, std::size_t payload);
std::string close_payload(CloseCode code, std::string_view reason = {});
// What a close frame says: its code (kNoStatus when empty), or the error to answer it with.
struct CloseReading {
  bool valid = false;
  CloseCode code = CloseCode::kProtocolError;
};
CloseReading read_close(std::string_view payload);

// The opening handshake (RFC 6455 section 4.2.1). `accept` answers the client's key; otherwise
// `status` says how to refuse: 400, or 426 for another version or for no upgrade at all.
struct Handshake {
  unsigned status = 101;
  std::string accept;
};
Handshake judge_handshake(const http::Request& request);

}  // namespace turnpike::signaling::ws
