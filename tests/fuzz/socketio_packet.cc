// Any text as a Socket.IO packet: what is taken apart lies inside the text, is JSON, and means the
// same when it is written down again. The first byte of the input decides the protocol.

#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/text.h"
#include "signaling/json_text.h"
#include "signaling/socketio_packet.h"

namespace turnpike::signaling::socketio {

namespace {

void check_inside(std::string_view whole, std::string_view part) {
  if (part.empty()) return;
  CHECK(part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void judge(engineio::Version version, std::string_view text) {
  const auto packet = parse_packet(version, text);
  if (!packet) return;
  CHECK(packet->attachments <= kMaxAttachments && packet->elements.size() <= kMaxElements);
  CHECK(packet->name_space.starts_with('/') && packet->name_space.size() <= kMaxNamespaceText);
  check_inside(text, packet->payload);
  check_inside(text, packet->query);
  CHECK(packet->payload.empty() || is_json(packet->payload));
  for (const std::string_view element : packet->elements) {
    check_inside(packet->payload, element);
    CHECK(is_json(element));
  }
  const bool binary = packet->type == Type::kBinaryEvent || packet->type == Type::kBinaryAck;
  if (binary) CHECK(placeholders_fit(packet->payload, packet->attachments));
  if (packet->elements.empty()) return;

  std::string written;
  append_head(written, packet->type, packet->attachments, packet->name_space, packet->id);
  append_array(written, packet->elements);
  const auto again = parse_packet(version, written);
  CHECK(again && again->type == packet->type && again->attachments == packet->attachments);
  CHECK(again->name_space == packet->name_space && again->id == packet->id);
  CHECK(again->elements == packet->elements);
}

}  // namespace

}  // namespace turnpike::signaling::socketio

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  if (size == 0) return 0;
  const std::string_view text = as_text({data + 1, size - 1});
  if (!is_valid_utf8(text)) return 0;  // frames and bodies are checked before
  signaling::socketio::judge(
      data[0] % 2 == 0 ? signaling::engineio::Version::k4 : signaling::engineio::Version::k3, text);
  return 0;
}
