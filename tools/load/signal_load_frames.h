// The client's side of RFC 6455, as much of it as a load generator needs: the opening handshake,
// masked frames out, unmasked frames in. Values; the generator's own thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace turnpike::signal_load {

// One fixed key serves all connections: its answer is the sample of RFC 6455 section 1.3.
std::string handshake_request(std::string_view host, std::string_view target);

enum class Handshake : std::uint8_t { kUnfinished, kAccepted, kRefused };
struct HandshakeAnswer {
  Handshake verdict = Handshake::kUnfinished;
  std::size_t size = 0;  // of the head; frames may follow it
  std::string reason;    // the status line, when refused
};
HandshakeAnswer read_handshake(std::string_view bytes);

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};

// Appends one whole masked frame.
void append_frame(std::string& out, Opcode opcode, std::string_view payload);

struct Frame {
  Opcode opcode = Opcode::kText;
  bool final = true;
  std::string_view payload;
  std::size_t size = 0;  // head and payload together
};
enum class Reading : std::uint8_t { kWhole, kUnfinished, kBroken };
// The frame at the front of `bytes`. Broken: masked, reserved bits, or larger than kMaxFrame.
inline constexpr std::size_t kMaxFrame = 4 << 20;
Reading read_frame(std::string_view bytes, Frame& frame);

}  // namespace turnpike::signal_load
