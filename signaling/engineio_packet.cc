#include "signaling/engineio_packet.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/digest.h"
#include "base/text.h"
#include "signaling/json_text.h"

namespace turnpike::signaling::engineio {

namespace {

constexpr char kSeparator = '\x1e';
constexpr char kBase64Mark = 'b';
constexpr std::uint8_t kTextMark = 0;
constexpr std::uint8_t kBinaryMark = 1;
constexpr std::uint8_t kLengthEnd = 0xff;

std::optional<Type> type_of(unsigned number) {
  if (number > static_cast<unsigned>(Type::kNoop)) return std::nullopt;
  return static_cast<Type>(number);
}

std::optional<Type> type_of_digit(char digit) {
  if (digit < '0' || digit > '9') return std::nullopt;
  return type_of(static_cast<unsigned>(digit - '0'));
}

char digit_of(Type type) { return static_cast<char>('0' + static_cast<int>(type)); }

// Bytes of the UTF-8 sequence that begins so, at most what is there.
std::size_t sequence_size(std::string_view text) {
  const auto lead = static_cast<std::uint8_t>(text[0]);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return std::min(size, text.size());
}

std::uint32_t code_point(std::string_view sequence) {
  static constexpr std::array<std::uint8_t, 5> kLeadBits = {0, 0x7f, 0x1f, 0x0f, 0x07};
  std::uint32_t value = static_cast<std::uint8_t>(sequence[0]) & kLeadBits[sequence.size()];
  for (const char c : sequence.substr(1))
    value = value << 6 | (static_cast<std::uint8_t>(c) & 0x3f);
  return value;
}

void append_escape(std::string& out, std::uint32_t unit) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[unit >> shift & 0xf];
}

void append_escaped(std::string& out, std::uint32_t point) {
  if (point < 0x10000) return append_escape(out, point);
  append_escape(out, 0xd800 + ((point - 0x10000) >> 10));
  append_escape(out, 0xdc00 + ((point - 0x10000) & 0x3ff));
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

std::optional<Packet> decode_base64(Version version, std::string_view text, std::string& scratch) {
  Type type = Type::kMessage;
  if (version == Version::k3) {  // the type stands behind the mark
    if (text.empty()) return std::nullopt;
    const auto named = type_of_digit(text[0]);
    if (!named) return std::nullopt;
    type = *named;
    text.remove_prefix(1);
  }
  auto bytes = base64_decode(text);
  if (!bytes) return std::nullopt;
  scratch = std::move(*bytes);
  return Packet{type, Kind::kBinary, scratch};
}

// A packet of a binary payload of protocol 3.
void append_counted_bytes(std::string& out, const Packet& packet) {
  const bool binary = packet.kind == Kind::kBinary;
  const std::string text = binary ? std::string() : escape_json_strings(packet.data);
  const std::string_view data = binary ? packet.data : text;
  out += static_cast<char>(binary ? kBinaryMark : kTextMark);
  for (const char digit : std::to_string(data.size() + 1)) out += static_cast<char>(digit - '0');
  out += static_cast<char>(kLengthEnd);
  out += binary ? static_cast<char>(packet.type) : digit_of(packet.type);
  out += data;
}

}  // namespace

std::optional<Packet> decode_text(Version version, std::string_view text, std::string& scratch) {
  if (text.empty()) return std::nullopt;
  if (text[0] == kBase64Mark) return decode_base64(version, text.substr(1), scratch);
  const auto type = type_of_digit(text[0]);
  if (!type) return std::nullopt;
  return Packet{*type, Kind::kText, text.substr(1)};
}

std::optional<Packet> decode_binary(Version version, std::string_view bytes) {
  if (version == Version::k4) return Packet{Type::kMessage, Kind::kBinary, bytes};
  if (bytes.empty()) return std::nullopt;
  const auto type = type_of(static_cast<std::uint8_t>(bytes[0]));
  if (!type) return std::nullopt;
  return Packet{*type, Kind::kBinary, bytes.substr(1)};
}

void append_as_text(std::string& out, Version version, const Packet& packet) {
  if (packet.kind == Kind::kText) {
    out += digit_of(packet.type);
    out += packet.data;
    return;
  }
  out += kBase64Mark;
  if (version == Version::k3) out += digit_of(packet.type);
  out += base64_encode(as_bytes(packet.data));
}

std::string encode_frame(Version version, const Packet& packet) {
  std::string frame;
  frame.reserve(packet.data.size() + 1);
  if (packet.kind == Kind::kText) {
    frame += digit_of(packet.type);
  } else if (version == Version::k3) {
    frame += static_cast<char>(packet.type);
  }
  frame += packet.data;
  return frame;
}

PayloadReader::Status PayloadReader::next(Packet& packet) {
  if (bad_) return Status::kBad;
  if (!more_) return Status::kEnd;
  const auto pulled = count_++ < kMaxPackets ? pull() : std::nullopt;
  if (!pulled) {
    bad_ = true;
    return Status::kBad;
  }
  packet = *pulled;
  return Status::kPacket;
}

std::optional<Packet> PayloadReader::pull() {
  if (format_ == BodyFormat::kBinary) return pull_binary();
  const auto text = version_ == Version::k4 ? pull_separated() : pull_counted();
  if (!text) return std::nullopt;
  return decode_text(version_, *text, scratch_);
}

std::optional<std::string_view> PayloadReader::pull_separated() {
  const std::size_t end = rest_.find(kSeparator);
  const std::string_view text = rest_.substr(0, end);
  more_ = end != std::string_view::npos;
  rest_.remove_prefix(more_ ? end + 1 : rest_.size());
  return text;
}

std::optional<std::string_view> PayloadReader::pull_counted() {
  const std::size_t colon = rest_.substr(0, kMaxLengthDigits + 1).find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto units = parse_decimal(rest_.substr(0, colon));
  if (!units) return std::nullopt;
  rest_.remove_prefix(colon + 1);
  std::size_t size = 0;
  for (std::uint64_t left = *units; left > 0;) {
    if (size == rest_.size()) return std::nullopt;
    const std::size_t sequence = sequence_size(rest_.substr(size));
    const std::uint64_t taken = sequence == 4 ? 2 : 1;
    if (taken > left) return std::nullopt;  // half a surrogate pair
    left -= taken;
    size += sequence;
  }
  const std::string_view text = rest_.substr(0, size);
  rest_.remove_prefix(size);
  more_ = !rest_.empty();
  return text;
}

std::optional<Packet> PayloadReader::pull_binary() {
  if (rest_.size() < 2) return std::nullopt;
  const auto mark = static_cast<std::uint8_t>(rest_[0]);
  if (mark > kBinaryMark) return std::nullopt;
  std::size_t at = 1;
  std::size_t length = 0;
  for (;; ++at) {
    if (at == rest_.size() || at > kMaxLengthDigits + 1) return std::nullopt;
    const auto digit = static_cast<std::uint8_t>(rest_[at]);
    if (digit == kLengthEnd) break;
    if (digit > 9) return std::nullopt;
    length = length * 10 + digit;
  }
  rest_.remove_prefix(at + 1);
  if (length > rest_.size()) return std::nullopt;
  const std::string_view data = rest_.substr(0, length);
  rest_.remove_prefix(length);
  more_ = !rest_.empty();
  if (mark == kBinaryMark) return decode_binary(version_, data);
  if (!is_valid_utf8(data)) return std::nullopt;
  return decode_text(version_, data, scratch_);
}

std::string encode_payload(Version version, BodyFormat format, std::span<const Packet> packets) {
  std::string body;
  std::string text;
  for (const Packet& packet : packets) {
    if (version == Version::k4) {
      if (!body.empty()) body += kSeparator;
      append_as_text(body, version, packet);
    } else if (format == BodyFormat::kBinary) {
      append_counted_bytes(body, packet);
    } else {
      text.clear();
      if (packet.kind == Kind::kText && !is_ascii(packet.data)) {
        const std::string escaped = escape_json_strings(packet.data);
        append_as_text(text, version, {packet.type, packet.kind, escaped});
      } else {
        append_as_text(text, version, packet);
      }
      body += std::to_string(utf16_length(text));
      body += ':';
      body += text;
    }
  }
  return body;
}

std::string escape_json_strings(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  std::string out;
  out.reserve(text.size() * 2);
  bool inside = false;
  while (!text.empty()) {
    const std::size_t size = sequence_size(text);
    const std::string_view sequence = text.substr(0, size);
    text.remove_prefix(size);
    if (size > 1 && inside) {
      append_escaped(out, code_point(sequence));
      continue;
    }
    out += sequence;
    if (sequence == "\"") inside = !inside;
    if (sequence == "\\" && inside && !text.empty() && (text[0] & 0x80) == 0) {
      out += text[0];  // an escaped quote ends nothing
      text.remove_prefix(1);
    }
  }
  return out;
}

std::size_t utf16_length(std::string_view text) {
  std::size_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if ((byte & 0xc0) != 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}

std::string wrap_jsonp(std::string_view index, std::string_view payload) {
  std::string quoted;
  append_json_string(quoted, payload);
  std::string out = "___eio[";
  out.append(index).append("](");
  // Line ends to JavaScript before ECMAScript 2019, though not to JSON.
  constexpr std::string_view kLineSeparators = "\xe2\x80\xa8\xe2\x80\xa9";
  for (std::size_t at = 0; at < quoted.size();) {
    const std::string_view next = std::string_view(quoted).substr(at, 3);
    if (next == kLineSeparators.substr(0, 3) || next == kLineSeparators.substr(3)) {
      append_escape(out, code_point(next));
      at += 3;
    } else {
      out += quoted[at++];
    }
  }
  return out += ");";
}

std::optional<std::string> unwrap_jsonp(std::string_view form) {
  const auto value = http::query_value(form, "d");
  if (!value) return std::nullopt;
  // A form turns line ends into CR LF, so the client writes them as \n, and a \n as \\n.
  std::string out;
  out.reserve(value->size());
  for (std::string_view rest = *value; !rest.empty();) {
    if (rest.substr(0, 3) == "\\\\n") {
      out += "\\n";
      rest.remove_prefix(3);
    } else if (rest.substr(0, 2) == "\\n") {
      out += '\n';
      rest.remove_prefix(2);
    } else {
      out += rest[0];
      rest.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace turnpike::signaling::engineio
