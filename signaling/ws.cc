#include "signaling/ws.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/digest.h"
#include "base/text.h"

namespace turnpike::signaling::ws {

namespace {

// Payloads are looked at eight bytes at a time where they can be.
using Word = std::array<std::uint8_t, 8>;

void unmask(char* data, std::size_t size, const Word& key) {
  std::uint64_t keys = 0;
  std::memcpy(&keys, key.data(), sizeof keys);
  std::size_t at = 0;
  for (; size - at >= sizeof keys; at += sizeof keys) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + at, sizeof word);
    word ^= keys;
    std::memcpy(data + at, &word, sizeof word);
  }
  for (std::size_t i = 0; at < size; ++at, ++i) data[at] = static_cast<char>(data[at] ^ key[i]);
}

// How many bytes at the front are whole words of ASCII.
std::size_t ascii_words(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t at = 0;
  for (; text.size() - at >= sizeof kHighBits; at += sizeof kHighBits) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & kHighBits) != 0) break;
  }
  return at;
}

}  // namespace

bool Utf8Checker::begin(std::uint8_t byte) {
  low_ = 0x80;
  high_ = 0xbf;
  if (byte < 0x80) return true;
  if (byte >= 0xc2 && byte <= 0xdf) {
    missing_ = 1;
  } else if ((byte & 0xf0) == 0xe0) {
    missing_ = 2;
    if (byte == 0xe0) low_ = 0xa0;   // overlong
    if (byte == 0xed) high_ = 0x9f;  // surrogates
  } else if (byte >= 0xf0 && byte <= 0xf4) {
    missing_ = 3;
    if (byte == 0xf0) low_ = 0x90;   // overlong
    if (byte == 0xf4) high_ = 0x8f;  // above U+10FFFF
  } else {
    return false;
  }
  return true;
}

bool Utf8Checker::feed(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (missing_ == 0) at += ascii_words(text.substr(at));
    if (at == text.size()) break;
    const auto byte = static_cast<std::uint8_t>(text[at++]);
    if (missing_ == 0) {
      if (!begin(byte)) return false;
      continue;
    }
    if (byte < low_ || byte > high_) return false;
    low_ = 0x80;
    high_ = 0xbf;
    --missing_;
  }
  return true;
}

std::size_t Reader::header_size() const {
  if (header_have_ < 2) return 2;
  const std::uint8_t length = header_[1] & 0x7f;
  return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + 4u;
}

bool Reader::take_header(ByteView& bytes) {
  while (header_have_ < header_size()) {
    if (bytes.empty()) return false;
    header_[header_have_++] = bytes.front();
    bytes = bytes.subspan(1);
    if (header_have_ == 2) return true;  // the first two bytes are judged before more is awaited
  }
  return true;
}

// RFC 6455 sections 5.1, 5.2, 5.4 and 5.5: all of these fail the connection.
bool Reader::judge_start() {
  const bool reserved_bits = (header_[0] & 0x70) != 0;  // no extension was negotiated
  const bool masked = (header_[1] & 0x80) != 0;
  if (reserved_bits || !masked) return false;
  switch (frame_opcode()) {
    case Opcode::kContinuation:
      return opcode_ != Opcode::kContinuation;
    case Opcode::kText:
    case Opcode::kBinary:
      return opcode_ == Opcode::kContinuation;
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      return is_final() && (header_[1] & 0x7f) <= kMaxControlPayload;
  }
  return false;
}

bool Reader::judge_length(const Limits& limits) {
  turnpike::Reader cursor(ByteView(header_).subspan(1));
  std::uint64_t length = cursor.u8() & 0x7f;
  if (length == 126) {
    length = cursor.u16();
    if (length < 126) return false;
  } else if (length == 127) {
    length = cursor.u64();
    if (length <= 0xffff || length >> 63 != 0) return false;
  }
  left_ = length;
  taken_ = 0;
  if (is_control()) return true;
  if (length > limits.max_message || data_.size() > limits.max_message - length) {
    failure_ = CloseCode::kTooLarge;
    return false;
  }
  if (frame_opcode() != Opcode::kContinuation) {
    opcode_ = frame_opcode();
    fragments_ = 0;
    utf8_ = {};
  }
  if (++fragments_ > limits.max_fragments) {
    failure_ = CloseCode::kPolicy;
    return false;
  }
  return true;
}

bool Reader::take_payload(ByteView& bytes) {
  const std::size_t count = std::min<std::uint64_t>(left_, bytes.size());
  std::string& target = is_control() ? control_ : data_;
  const std::size_t before = target.size();
  const std::uint8_t* mask = header_.data() + header_size() - 4;
  target.append(as_text(bytes.first(count)));
  Word key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = mask[(taken_ + i) & 3];
  unmask(target.data() + before, count, key);
  bytes = bytes.subspan(count);
  taken_ += count;
  left_ -= count;
  if (is_control() || opcode_ != Opcode::kText) return true;
  return utf8_.feed(std::string_view(target).substr(before));
}

Reader::Status Reader::finish_frame(Message& message) {
  header_have_ = 0;
  in_payload_ = false;
  if (is_control()) {
    message.opcode = frame_opcode();
    message.payload = std::exchange(control_, {});
    return Status::kMessage;
  }
  if (!is_final()) return Status::kNeedsMore;
  if (opcode_ == Opcode::kText && !utf8_.complete()) return fail(CloseCode::kInvalidText);
  message.opcode = std::exchange(opcode_, Opcode::kContinuation);
  message.payload = std::exchange(data_, {});
  return Status::kMessage;
}

Reader::Status Reader::feed(ByteView& bytes, const Limits& limits, Message& message) {
  while (true) {
    while (!in_payload_) {
      if (!take_header(bytes)) return Status::kNeedsMore;
      if (header_have_ == 2 && !judge_start()) return fail(CloseCode::kProtocolError);
      if (header_have_ < header_size()) continue;
      failure_ = CloseCode::kProtocolError;
      if (!judge_length(limits)) return Status::kFailed;
      in_payload_ = true;
    }
    if (left_ > 0 && bytes.empty()) return Status::kNeedsMore;
    if (!take_payload(bytes)) return fail(CloseCode::kInvalidText);
    if (left_ > 0) return Status::kNeedsMore;
    const Status status = finish_frame(message);
    if (status != Status::kNeedsMore) return status;
  }
}

void append_frame_head(std::string& out, Opcode opcode, std::size_t payload) {
  const auto byte = [&out](std::uint64_t value) {
    out.push_back(static_cast<char>(static_cast<std::uint8_t>(value)));
  };
  byte(0x80u | static_cast<std::uint8_t>(opcode));
  if (payload < 126) {
    byte(payload);
    return;
  }
  const int size = payload <= 0xffff ? 2 : 8;
  byte(size == 2 ? 126 : 127);
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) byte(payload >> shift);
}

std::string close_payload(CloseCode code, std::string_view reason) {
  std::string payload;
  if (code == CloseCode::kNoStatus) return payload;
  const auto number = static_cast<std::uint16_t>(code);
  payload.push_back(static_cast<char>(number >> 8));
  payload.push_back(static_cast<char>(number & 0xff));
  payload.append(reason.substr(0, kMaxControlPayload - payload.size()));
  return payload;
}

CloseReading read_close(std::string_view payload) {
  if (payload.empty()) return {true, CloseCode::kNoStatus};
  turnpike::Reader in(as_bytes(payload));
  const std::uint16_t code = in.u16();
  if (!in.ok()) return {false, CloseCode::kProtocolError};
  // RFC 6455 section 7.4; 1012 to 1014 were registered later, 1004, 1005, 1006 and 1015 never
  // travel.
  const bool standard = code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
  const bool free = code >= 3000 && code <= 4999;
  if (!standard && !free) return {false, CloseCode::kProtocolError};
  if (!is_valid_utf8(as_text(in.rest()))) return {false, CloseCode::kInvalidText};
  return {true, static_cast<CloseCode>(code)};
}

Handshake judge_handshake(const http::Request& request) {
  static constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  if (request.method != http::Method::kGet || request.is_http_1_0) return {400, {}};
  if (!request.lists("upgrade", "websocket") || !request.lists("connection", "upgrade")) {
    return {426, {}};
  }
  if (request.header("sec-websocket-version") != "13") return {426, {}};
  if (request.count("sec-websocket-key") != 1 || !request.body.empty()) return {400, {}};
  const std::string_view key = *request.header("sec-websocket-key");
  const auto nonce = base64_decode(key);
  if (!nonce || nonce->size() != 16) return {400, {}};
  const Sha1Digest digest = sha1(as_bytes(std::string(key) + std::string(kGuid)));
  return {101, base64_encode(digest)};
}

}  // namespace turnpike::signaling::ws
