#include "signaling/native.h"

#include <utility>

#include "signaling/json_text.h"

namespace turnpike::signaling {

namespace {

// --- from the client ---

// Optional text: absent is empty, anything but a string is nullopt.
std::optional<std::string> text_or_empty(const JsonObject& object, std::string_view name) {
  const auto value = object.find(name);
  return value ? json_string(*value) : std::string();
}

ClientMessage refuse(std::string_view why, std::string_view reference) {
  return {Unintelligible{why}, reference};
}

ClientMessage read_join(const JsonObject& object, std::string_view reference) {
  const auto room = object.find("room");
  auto room_text = room ? json_string(*room) : std::nullopt;
  if (!room_text) return refuse("join needs room, a string", reference);
  auto name = text_or_empty(object, "name");
  if (!name) return refuse("name must be a string", reference);
  auto invitation = text_or_empty(object, "invitation");
  if (!invitation) return refuse("invitation must be a string", reference);
  auto token = text_or_empty(object, "token");
  if (!token) return refuse("token must be a string", reference);
  return {JoinRequest{std::move(*room_text), std::move(*name), std::move(*invitation),
                      std::move(*token)},
          reference};
}

ClientMessage read_resume(const JsonObject& object, std::string_view reference) {
  const auto session = object.find("session");
  auto session_text = session ? json_string(*session) : std::nullopt;
  if (!session_text) return refuse("resume needs session, a string", reference);
  const auto received = object.find("received");
  const auto number = received ? json_uint(*received) : std::nullopt;
  if (!number) return refuse("resume needs received, a whole number", reference);
  return {ResumeRequest{std::move(*session_text), *number}, reference};
}

ClientMessage read_send(const JsonObject& object, std::string_view reference) {
  SendRequest send;
  if (const auto to = object.find("to")) {
    send.to = json_string(*to);
    if (!send.to) return refuse("to must be a member's id", reference);
  }
  const auto data = object.find("data");
  if (!data) return refuse("send needs data", reference);
  send.data = *data;
  return {std::move(send), reference};
}

// A number or a string, short enough to be worth giving back; nullopt for anything else.
std::optional<std::string_view> read_reference(const JsonObject& object) {
  const auto id = object.find("id");
  if (!id) return std::string_view{};
  const char first = id->front();
  const bool scalar = first == '"' || first == '-' || (first >= '0' && first <= '9');
  if (!scalar || id->size() > NativeDialect::kMaxReference) return std::nullopt;
  return *id;
}

// --- to the client ---

// Writes one object member by member; `address` closes it.
class Writer {
 public:
  Writer(std::string& out, std::string_view type) : out_(out) {
    out_.append("{\"type\":\"").append(type).append("\"");
  }
  Writer& text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
    return *this;
  }
  Writer& raw(std::string_view name, std::string_view value) {
    key(name).append(value);
    return *this;
  }
  Writer& number(std::string_view name, std::int64_t value) {
    return raw(name, std::to_string(value));
  }
  Writer& self(const MemberView& member) {
    key("self").append("{\"id\":");
    append_json_string(out_, member.id);
    out_.append(",\"name\":");
    append_json_string(out_, member.name);
    out_.push_back('}');
    return *this;
  }
  Writer& member(const MemberView& member) {
    key("member");
    append_member(member);
    return *this;
  }
  Writer& members(const std::vector<MemberView>& members) {
    key("members").push_back('[');
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out_.push_back(',');
      append_member(members[i]);
    }
    out_.push_back(']');
    return *this;
  }
  Writer& ice(const IceView& ice) {
    if (ice.servers.empty()) return *this;
    return raw("iceServers", ice.servers).number("ttl", ice.ttl.count());
  }

 private:
  std::string& key(std::string_view name) { return out_.append(",\"").append(name).append("\":"); }
  void append_member(const MemberView& member) {
    out_.append("{\"id\":");
    append_json_string(out_, member.id);
    out_.append(",\"name\":");
    append_json_string(out_, member.name);
    out_.append(member.polite ? ",\"polite\":true" : ",\"polite\":false");
    out_.append(member.away ? ",\"away\":true}" : ",\"away\":false}");
  }
  std::string& out_;
};

std::string_view to_text(LeaveReason reason) {
  switch (reason) {
    case LeaveReason::kLeft:
      return "left";
    case LeaveReason::kLost:
      return "lost";
    case LeaveReason::kKicked:
      return "kicked";
  }
  return "";
}

void write(std::string& out, const Joined& m) {
  Writer writer(out, "joined");
  writer.text("session", m.session).self(m.self).text("room", m.room).members(m.others).ice(m.ice);
  writer.number("resumeWindow", m.resume_window.count());
}
void write(std::string& out, const Resumed& m) {
  Writer(out, "resumed").self(m.self).text("room", m.room).members(m.others).ice(m.ice);
}
void write(std::string& out, const MemberJoined& m) {
  Writer(out, "member-joined").member(m.member);
}
void write(std::string& out, const MemberLeft& m) {
  Writer(out, "member-left").text("member", m.id).text("reason", to_text(m.reason));
}
void write(std::string& out, const MemberAway& m) {
  Writer(out, "member-away").text("member", m.id);
}
void write(std::string& out, const MemberBack& m) {
  Writer(out, "member-back").text("member", m.id);
}
void write(std::string& out, const Relayed& m) {
  out.reserve(m.data.size() + 96);
  Writer writer(out, "message");
  writer.text("from", m.from);
  if (m.to) writer.text("to", *m.to);
  writer.raw("data", m.data);
}
void write(std::string& out, const FreshIce& m) { Writer(out, "ice-servers").ice(m.ice); }
void write(std::string& out, const Draining& m) {
  Writer writer(out, "draining");
  if (m.left) writer.number("endsIn", m.left->count());
}
void write(std::string& out, const Failure& m) {
  Writer writer(out, "error");
  writer.text("code", signaling::to_text(m.code)).text("message", m.why);
  if (!m.reference.empty()) writer.raw("id", m.reference);
}
void write(std::string& out, const Pong& m) {
  Writer writer(out, "pong");
  if (!m.reference.empty()) writer.raw("id", m.reference);
}

}  // namespace

std::string_view to_text(ErrorCode code) {
  switch (code) {
    case ErrorCode::kBadMessage:
      return "bad-message";
    case ErrorCode::kNotJoined:
      return "not-joined";
    case ErrorCode::kAlreadyJoined:
      return "already-joined";
    case ErrorCode::kBadRoom:
      return "bad-room";
    case ErrorCode::kBadInvitation:
      return "bad-invitation";
    case ErrorCode::kRoomFull:
      return "room-full";
    case ErrorCode::kTooManyRooms:
      return "too-many-rooms";
    case ErrorCode::kUnknownSession:
      return "unknown-session";
    case ErrorCode::kNoSuchMember:
      return "no-such-member";
    case ErrorCode::kNotInvited:
      return "not-invited";
    case ErrorCode::kTooFast:
      return "too-fast";
    case ErrorCode::kTooLarge:
      return "too-large";
    case ErrorCode::kBadToken:
      return "bad-token";
    case ErrorCode::kDraining:
      return "draining";
  }
  return "";
}

ClientMessage NativeDialect::decode(std::string_view text) const {
  const auto object = JsonObject::parse(text);
  if (!object) return refuse("not a JSON object, or one too deep or too wide", {});
  const auto reference = read_reference(*object);
  if (!reference) return refuse("id must be a short number or string", {});
  const auto type_text = object->find("type");
  const auto type = type_text ? json_string(*type_text) : std::nullopt;
  if (!type) return refuse("type is missing or no string", *reference);
  if (*type == "send") return read_send(*object, *reference);
  if (*type == "join") return read_join(*object, *reference);
  if (*type == "resume") return read_resume(*object, *reference);
  if (*type == "ice") return {IceRequest{}, *reference};
  if (*type == "ping") return {PingRequest{}, *reference};
  if (*type == "leave") return {LeaveRequest{}, *reference};
  return refuse("unknown type", *reference);
}

std::string NativeDialect::encode(const HubMessage& message) const {
  std::string out;
  std::visit([&out](const auto& one) { write(out, one); }, message);
  return out;
}

void NativeDialect::address(std::string_view encoded, std::uint64_t sequence,
                            std::string& out) const {
  out.append(encoded);
  if (sequence != 0) out.append(",\"seq\":").append(std::to_string(sequence));
  out.push_back('}');
}

}  // namespace turnpike::signaling
