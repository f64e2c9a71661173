#include "tools/load/signal_load_frames.h"

#include <array>
#include <cstring>

namespace turnpike::signal_load {

namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr std::size_t kMaxHead = 16 * 1024;
// Masks protect intermediaries from chosen bytes; here a constant one makes the server do the same
// work as a random one.
constexpr std::array<std::uint8_t, 4> kMask{0x37, 0xfa, 0x21, 0x3d};

void append_masked(std::string& out, std::string_view payload) {
  std::array<char, 8> pattern;
  std::memcpy(pattern.data(), kMask.data(), 4);
  std::memcpy(pattern.data() + 4, kMask.data(), 4);
  std::uint64_t mask = 0;
  std::memcpy(&mask, pattern.data(), sizeof(mask));
  const std::size_t start = out.size();
  out.append(payload);
  char* bytes = out.data() + start;
  std::size_t at = 0;
  for (; at + 8 <= payload.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + at, sizeof(word));
    word ^= mask;
    std::memcpy(bytes + at, &word, sizeof(word));
  }
  for (; at < payload.size(); ++at) bytes[at] = static_cast<char>(bytes[at] ^ pattern[at % 8]);
}

}  // namespace

std::string handshake_request(std::string_view host, std::string_view target) {
  std::string request;
  request.append("GET ").append(target).append(" HTTP/1.1\r\nHost: ").append(host);
  request.append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
  request.append(kKey).append("\r\nSec-WebSocket-Version: 13\r\n\r\n");
  return request;
}

HandshakeAnswer read_handshake(std::string_view bytes) {
  HandshakeAnswer answer;
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() <= kMaxHead) return answer;
    answer.verdict = Handshake::kRefused;
    answer.reason = "the answer's head is too long";
    return answer;
  }
  answer.size = end + 4;
  const std::string_view head = bytes.substr(0, end);
  const std::string_view status = head.substr(0, head.find("\r\n"));
  const bool switches = status.starts_with("HTTP/1.1 101");
  if (switches && head.find(kAccept) != std::string_view::npos) {
    answer.verdict = Handshake::kAccepted;
  } else {
    answer.verdict = Handshake::kRefused;
    answer.reason = switches ? "a wrong Sec-WebSocket-Accept" : std::string(status);
  }
  return answer;
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload) {
  out.push_back(static_cast<char>(0x80 | static_cast<std::uint8_t>(opcode)));
  const std::size_t size = payload.size();
  if (size < 126) {
    out.push_back(static_cast<char>(0x80 | size));
  } else {
    const bool wide = size > 0xffff;
    out.push_back(static_cast<char>(0x80 | (wide ? 127 : 126)));
    for (int shift = wide ? 56 : 8; shift >= 0; shift -= 8) {
      out.push_back(static_cast<char>(std::uint64_t{size} >> shift & 0xff));
    }
  }
  for (const std::uint8_t byte : kMask) out.push_back(static_cast<char>(byte));
  append_masked(out, payload);
}

Reading read_frame(std::string_view bytes, Frame& frame) {
  if (bytes.size() < 2) return Reading::kUnfinished;
  const auto byte = [bytes](std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); };
  if ((byte(0) & 0x70) != 0 || (byte(1) & 0x80) != 0) return Reading::kBroken;
  std::uint64_t size = byte(1);
  std::size_t head = 2;
  if (size >= 126) {
    const std::size_t digits = size == 126 ? 2 : 8;
    head += digits;
    if (bytes.size() < head) return Reading::kUnfinished;
    size = 0;
    for (std::size_t at = 2; at < head; ++at) size = size << 8 | byte(at);
  }
  if (size > kMaxFrame) return Reading::kBroken;
  if (bytes.size() - head < size) return Reading::kUnfinished;
  frame.opcode = static_cast<Opcode>(byte(0) & 0x0f);
  frame.final = (byte(0) & 0x80) != 0;
  frame.payload = bytes.substr(head, static_cast<std::size_t>(size));
  frame.size = head + static_cast<std::size_t>(size);
  return Reading::kWhole;
}

}  // namespace turnpike::signal_load
