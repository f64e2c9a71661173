// Any bytes as payloads, frames and forms of Engine.IO: the readers stay inside their limits, and
// what they read is written so that it reads the same. The first byte of the input decides which
// protocol and form it is.

#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "signaling/engineio_packet.h"

namespace turnpike::signaling::engineio {

namespace {

struct Held {
  Type type;
  Kind kind;
  std::string data;
  bool operator==(const Held&) const = default;
};

struct Reading {
  std::vector<Held> packets;
  bool good = false;
};

Reading read(Version version, BodyFormat format, std::string_view body) {
  PayloadReader reader(version, format, body);
  Reading reading;
  Packet packet;
  PayloadReader::Status status;
  while ((status = reader.next(packet)) == PayloadReader::Status::kPacket) {
    CHECK(packet.data.size() <= body.size());
    if (packet.kind == Kind::kText) CHECK(is_valid_utf8(packet.data));
    reading.packets.push_back({packet.type, packet.kind, std::string(packet.data)});
  }
  CHECK(reading.packets.size() <= PayloadReader::kMaxPackets);
  CHECK(reader.next(packet) == status);
  reading.good = status == PayloadReader::Status::kEnd;
  return reading;
}

std::string write(Version version, BodyFormat format, const std::vector<Held>& packets) {
  std::vector<Packet> borrowed;
  for (const Held& held : packets) borrowed.push_back({held.type, held.kind, held.data});
  return encode_payload(version, format, borrowed);
}

// Protocol 3 escapes text, so the first writing may differ from what was read; the second not.
void judge_payload(Version version, BodyFormat format, std::string_view body) {
  if (format == BodyFormat::kText && !is_valid_utf8(body)) return;  // as the server checks first
  const Reading first = read(version, format, body);
  if (first.packets.empty()) return;
  const std::string written = write(version, format, first.packets);
  const Reading second = read(version, format, written);
  CHECK(second.good);
  CHECK(second.packets.size() == first.packets.size());
  if (version == Version::k4) CHECK(second.packets == first.packets);
  CHECK(write(version, format, second.packets) == written);
}

void judge_frame(Version version, std::string_view bytes) {
  std::string scratch;
  if (is_valid_utf8(bytes)) {
    if (const auto packet = decode_text(version, bytes, scratch)) {
      std::string text;
      append_as_text(text, version, *packet);
      // Base64 has one canonical form for what it means.
      std::string again;
      const auto same = decode_text(version, text, again);
      CHECK(same && *same == *packet);
      if (packet->kind == Kind::kText) CHECK(encode_frame(version, *packet) == bytes);
    }
  }
  if (const auto packet = decode_binary(version, bytes)) {
    CHECK(encode_frame(version, *packet) == bytes);
  }
}

void judge_text(std::string_view text) {
  if (!is_valid_utf8(text)) return;
  const std::string escaped = escape_json_strings(text);
  CHECK(is_valid_utf8(escaped));
  CHECK(escaped.size() <= 6 * text.size());
  CHECK(escape_json_strings(escaped) == escaped);
  CHECK(utf16_length(text) <= text.size());
  const std::string call = wrap_jsonp("1", text);
  CHECK(call.find('\n') == std::string::npos);
  CHECK(call.find("\xe2\x80\xa8") == std::string::npos);
}

}  // namespace

}  // namespace turnpike::signaling::engineio

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  using namespace turnpike::signaling::engineio;
  if (size == 0) return 0;
  const std::string_view input = as_text({data + 1, size - 1});
  switch (data[0] % 6) {
    case 0:
      judge_payload(Version::k3, BodyFormat::kText, input);
      break;
    case 1:
      judge_payload(Version::k3, BodyFormat::kBinary, input);
      break;
    case 2:
      judge_payload(Version::k4, BodyFormat::kText, input);
      break;
    case 3:
      judge_frame(Version::k3, input);
      judge_frame(Version::k4, input);
      break;
    case 4:
      judge_text(input);
      break;
    default:
      if (const auto payload = unwrap_jsonp(input)) CHECK(payload->size() <= input.size());
  }
  return 0;
}
