#include "signaling/socketio_packet.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "signaling/json_text.h"

namespace turnpike::signaling::socketio {

namespace {

constexpr std::size_t kMaxIdDigits = 19;  // all of them fit into 64 bits
constexpr std::size_t kMaxCountDigits = 2;

// Their handlers exist on every client and mean something else there.
constexpr std::array<std::string_view, 6> kReserved = {
    "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool is_binary(Type type) { return type == Type::kBinaryEvent || type == Type::kBinaryAck; }
bool is_event(Type type) { return type == Type::kEvent || type == Type::kBinaryEvent; }
bool is_ack(Type type) { return type == Type::kAck || type == Type::kBinaryAck; }

std::string_view take_digits(std::string_view& rest) {
  const auto end = std::find_if_not(rest.begin(), rest.end(), is_digit);
  const std::string_view digits = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
  rest.remove_prefix(digits.size());
  return digits;
}

// "<count>-", which binary packets have and others have not.
bool take_attachments(Packet& packet, std::string_view& rest) {
  if (!is_binary(packet.type)) return true;
  const std::string_view digits = take_digits(rest);
  if (digits.empty() || digits.size() > kMaxCountDigits) return false;
  if (!rest.starts_with('-')) return false;
  rest.remove_prefix(1);
  packet.attachments = static_cast<std::size_t>(*parse_decimal(digits));
  return packet.attachments <= kMaxAttachments;
}

bool take_namespace(engineio::Version version, Packet& packet, std::string_view& rest) {
  if (!rest.starts_with('/')) return true;
  std::string_view name = rest.substr(0, rest.find(','));
  rest.remove_prefix(std::min(name.size() + 1, rest.size()));
  if (name.size() > kMaxNamespaceText || std::any_of(name.begin(), name.end(), is_control)) {
    return false;
  }
  if (const std::size_t mark = name.find('?');
      version == engineio::Version::k3 && mark != std::string_view::npos) {
    packet.query = name.substr(mark + 1);
    name = name.substr(0, mark);
  }
  packet.name_space = name;
  return true;
}

bool take_id(Packet& packet, std::string_view& rest) {
  const std::string_view digits = take_digits(rest);
  if (digits.size() > kMaxIdDigits) return false;
  if (!digits.empty()) packet.id = parse_decimal(digits);
  return true;
}

// A string or a number; the rest would be called on clients as a method of whatever it is.
bool is_event_name(engineio::Version version, std::string_view text) {
  if (text.front() == '-' || is_digit(text.front())) return true;
  if (text.front() != '"') return false;
  if (version == engineio::Version::k3) return true;
  const auto name = json_string(text);
  return !name || std::find(kReserved.begin(), kReserved.end(), *name) == kReserved.end();
}

bool is_payload_valid(engineio::Version version, Packet& packet) {
  const bool has_elements = is_event(packet.type) || is_ack(packet.type);
  const bool empty = packet.payload.empty();
  if (!has_elements && !empty && !is_json(packet.payload)) return false;
  switch (packet.type) {
    case Type::kConnect:
      // Protocol 4 has nothing there that means anything.
      return empty || version == engineio::Version::k3 || packet.payload.front() == '{';
    case Type::kDisconnect:
      return empty || version == engineio::Version::k3;
    case Type::kConnectError:
      return true;
    case Type::kEvent:
    case Type::kAck:
    case Type::kBinaryEvent:
    case Type::kBinaryAck:
      break;
  }
  auto elements = json_elements(packet.payload, kMaxElements);
  if (!elements) return false;
  packet.elements = std::move(*elements);
  if (is_ack(packet.type) && !packet.id) return false;
  if (is_event(packet.type) &&
      (packet.elements.empty() || !is_event_name(version, packet.elements.front()))) {
    return false;
  }
  return !is_binary(packet.type) || placeholders_fit(packet.payload, packet.attachments);
}

// Walks checked JSON once, without recursion.
class PlaceholderWalk {
 public:
  PlaceholderWalk(std::string_view json, std::size_t attachments)
      : rest_(json), attachments_(attachments) {}

  bool fits() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '{' || c == '[') {
        note({});  // whatever a member was, it is an object or an array now
        levels_.push_back({.is_object = c == '{', .awaits_name = c == '{'});
        rest_.remove_prefix(1);
      } else if (c == '}' || c == ']') {
        if (levels_.empty()) return false;
        if (levels_.back().claims && !levels_.back().number_fits) return false;
        levels_.pop_back();
        rest_.remove_prefix(1);
      } else if (c == ',') {
        if (!levels_.empty()) levels_.back().awaits_name = levels_.back().is_object;
        rest_.remove_prefix(1);
      } else if (std::string_view(" \t\r\n:").find(c) != std::string_view::npos) {
        rest_.remove_prefix(1);
      } else {
        take_scalar();
      }
    }
    return true;
  }

 private:
  enum class Member : std::uint8_t { kOther, kPlaceholder, kNumber };
  struct Level {
    bool is_object = false;
    bool awaits_name = false;
    Member member = Member::kOther;
    bool claims = false;  // "_placeholder":true, and the last of that name counts
    bool number_fits = false;
  };

  void take_scalar() {
    const std::string_view token =
        rest_.substr(0, rest_.front() == '"' ? string_size() : word_size());
    rest_.remove_prefix(token.size());
    if (levels_.empty() || !levels_.back().is_object) return;
    Level& level = levels_.back();
    if (!level.awaits_name) return note(token);
    level.awaits_name = false;
    const auto name = json_string(token);
    level.member = name == "_placeholder" ? Member::kPlaceholder
                   : name == "num"        ? Member::kNumber
                                          : Member::kOther;
  }

  void note(std::string_view value) {
    if (levels_.empty() || !levels_.back().is_object) return;
    Level& level = levels_.back();
    if (level.member == Member::kPlaceholder) level.claims = value == "true";
    if (level.member != Member::kNumber) return;
    const auto number = json_uint(value);
    level.number_fits = number && *number < attachments_;
  }

  std::size_t string_size() const {
    std::size_t at = 1;
    while (at < rest_.size() && rest_[at] != '"') at += rest_[at] == '\\' ? 2 : 1;
    return std::min(at + 1, rest_.size());
  }
  std::size_t word_size() const {
    return std::min(rest_.find_first_of(",:{}[]\" \t\r\n"), rest_.size());
  }

  std::string_view rest_;
  std::size_t attachments_;
  std::vector<Level> levels_;  // at most kMaxJsonDepth
};

}  // namespace

std::optional<Packet> parse_packet(engineio::Version version, std::string_view text) {
  if (text.empty() || text.front() < '0' || text.front() > '6') return std::nullopt;
  Packet packet;
  packet.type = static_cast<Type>(text.front() - '0');
  std::string_view rest = text.substr(1);
  if (!take_attachments(packet, rest) || !take_namespace(version, packet, rest) ||
      !take_id(packet, rest)) {
    return std::nullopt;
  }
  packet.payload = rest;
  if (!is_payload_valid(version, packet)) return std::nullopt;
  return packet;
}

bool placeholders_fit(std::string_view json, std::size_t attachments) {
  return PlaceholderWalk(json, attachments).fits();
}

void append_head(std::string& out, Type type, std::size_t attachments, std::string_view name_space,
                 std::optional<std::uint64_t> id) {
  out.push_back(static_cast<char>('0' + static_cast<int>(type)));
  if (is_binary(type)) out.append(std::to_string(attachments)).push_back('-');
  if (name_space != "/") out.append(name_space).push_back(',');
  if (id) out.append(std::to_string(*id));
}

void append_event(std::string& out, std::string_view name, std::span<const std::string_view> args,
                  std::string_view last) {
  out.push_back('[');
  append_json_string(out, name);
  for (const std::string_view arg : args) out.append(",").append(arg);
  if (!last.empty()) {
    out.push_back(',');
    append_json_string(out, last);
  }
  out.push_back(']');
}

void append_array(std::string& out, std::span<const std::string_view> args) {
  out.push_back('[');
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (i > 0) out.push_back(',');
    out.append(args[i]);
  }
  out.push_back(']');
}

}  // namespace turnpike::signaling::socketio
