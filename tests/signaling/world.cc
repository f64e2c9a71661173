#include "world.h"

#include <algorithm>

#include "signaling/invitation.h"

namespace turnpike::signaling::testing {

std::size_t FakeOutlet::write(ConnectionHandle connection, ByteView bytes) {
  Wire& one = wires_[connection.pack()];
  EXPECT_FALSE(one.closed) << "a closed connection was written to";
  one.written.append(as_text(bytes));
  if (one.slow) one.stuck += bytes.size();
  return one.stuck;
}

void FakeOutlet::close(ConnectionHandle connection) {
  EXPECT_FALSE(wires_[connection.pack()].closed) << "closed twice";
  wires_[connection.pack()].closed = true;
}

void FakeOutlet::read_file(ConnectionHandle connection, Folder folder, std::string_view path) {
  (folder == Folder::kStatic ? asked_files : asked_challenges).emplace_back(path);
  if (on_read_file) on_read_file(connection, path);
}

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

Settings World::default_settings() {
  Settings settings;
  settings.version = "0.1.0";
  settings.secret = kSecret;
  settings.api_keys = {"another-key", std::string(kKey)};
  settings.ice_urls = {
      {"stun:turn.example:3478"},
      {"turn:turn.example:3478?transport=udp", "turn:turn.example:3478?transport=tcp"}};
  settings.public_url = "http://turn.example:3478";
  return settings;
}

namespace {

Settings changed(const std::function<void(Settings&)>& change) {
  Settings settings = World::default_settings();
  if (change) change(settings);
  return settings;
}

}  // namespace

World::World(std::function<void(Settings&)> change)
    : now{{seconds(1000)}, {seconds(1767225600)}},
      service(changed(change), random, [this](std::string_view name, WallTime until) {
        outlet.revoked.push_back({std::string(name), until});
      }) {}

ConnectionHandle World::connect(std::string_view from) {
  const auto address = Address::parse(from);
  EXPECT_TRUE(address.has_value());
  return carrier.on_connected(now, {*address, *Address::parse("192.0.2.1:3478"), false});
}

void World::send(ConnectionHandle connection, std::string_view bytes) {
  carrier.on_bytes(now, connection, as_bytes(bytes), outlet);
}

void World::pass(Duration duration) {
  const Tick begin = now;
  const MonoTime end = begin.mono + duration;
  while (carrier.next_deadline() <= end) {
    now.mono = std::max(now.mono, carrier.next_deadline());
    now.wall = begin.wall + std::chrono::floor<seconds>(now.mono - begin.mono);
    carrier.on_time(now, outlet);
    for (Tab* tab : tabs) tab->answer_pings();
  }
  now.mono = end;
  now.wall = begin.wall + std::chrono::floor<seconds>(duration);
  carrier.on_time(now, outlet);
}

std::string World::take(ConnectionHandle connection) {
  return std::exchange(outlet.wire(connection).written, {});
}

std::vector<HttpAnswer> World::answers(ConnectionHandle connection, bool head) {
  std::vector<HttpAnswer> result;
  const std::string text = take(connection);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n\r\n");
    EXPECT_TRUE(end != std::string_view::npos) << rest;
    if (end == std::string_view::npos) break;
    HttpAnswer answer;
    std::string_view lines = rest.substr(0, end + 2);
    rest.remove_prefix(end + 4);
    EXPECT_TRUE(lines.starts_with("HTTP/1.1 ")) << lines;
    answer.status = std::stoi(std::string(lines.substr(9, 3)));
    lines.remove_prefix(lines.find("\r\n") + 2);
    while (!lines.empty()) {
      const std::string_view line = lines.substr(0, lines.find("\r\n"));
      lines.remove_prefix(line.size() + 2);
      const std::size_t colon = line.find(": ");
      EXPECT_TRUE(colon != std::string_view::npos) << line;
      std::string name(line.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      answer.headers.emplace(std::move(name), line.substr(colon + 2));
    }
    if (!head && answer.headers.count("content-length") > 0) {
      const std::size_t length = std::stoul(answer.header("content-length"));
      EXPECT_LE(length, rest.size());
      answer.body = rest.substr(0, length);
      rest.remove_prefix(std::min(length, rest.size()));
    }
    result.push_back(std::move(answer));
  }
  return result;
}

HttpAnswer World::ask(std::string_view request, bool head) {
  const ConnectionHandle connection = connect();
  send(connection, request);
  const auto all = answers(connection, head);
  EXPECT_EQ(all.size(), 1u) << request;
  if (!closed(connection)) hang_up(connection);
  return all.empty() ? HttpAnswer{} : all.front();
}

HttpAnswer World::get(std::string_view target, std::string_view more_headers) {
  return ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: turn.example:3478\r\n" +
             std::string(more_headers) + "\r\n");
}

HttpAnswer World::post(std::string_view target, std::string_view body,
                       std::string_view more_headers) {
  return ask("POST " + std::string(target) + " HTTP/1.1\r\nHost: turn.example:3478\r\n" +
             std::string(more_headers) + "Content-Length: " + std::to_string(body.size()) +
             "\r\n\r\n" + std::string(body));
}

std::string World::invitation(std::string_view room, seconds life) {
  return InvitationSigner(kSecret).sign({{std::string(room)}, now.wall + life});
}

std::vector<ServerFrame> take_frames(std::string& bytes) {
  std::vector<ServerFrame> frames;
  while (true) {
    turnpike::Reader in(as_bytes(bytes));
    ServerFrame frame;
    const std::uint8_t first = in.u8();
    const std::uint8_t second = in.u8();
    std::uint64_t length = second & 0x7f;
    if (length == 126) length = in.u16();
    if (length == 127) length = in.u64();
    const ByteView payload = in.bytes(length);
    if (!in.ok()) return frames;
    EXPECT_EQ(second & 0x80, 0) << "a server does not mask";
    EXPECT_EQ(first & 0x70, 0);
    frame.opcode = first & 0x0f;
    frame.final = (first & 0x80) != 0;
    frame.payload = as_text(payload);
    frames.push_back(std::move(frame));
    bytes.erase(0, in.position());
  }
}

std::string client_frame(int opcode, std::string_view payload, bool final) {
  static constexpr std::string_view kMask = "\x37\xfa\x21\x3d";
  std::string frame;
  frame.push_back(static_cast<char>((final ? 0x80 : 0) | opcode));
  const auto add = [&frame](std::uint64_t value, int count) {
    for (int i = count - 1; i >= 0; --i) frame.push_back(static_cast<char>(value >> (8 * i)));
  };
  if (payload.size() < 126) {
    add(0x80 | payload.size(), 1);
  } else if (payload.size() < 65536) {
    add(0x80 | 126, 1);
    add(payload.size(), 2);
  } else {
    add(0x80 | 127, 1);
    add(payload.size(), 8);
  }
  frame += kMask;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame.push_back(static_cast<char>(payload[i] ^ kMask[i % 4]));
  }
  return frame;
}

Tab::Tab(World& world, std::string_view from) : connection(world.connect(from)), world_(&world) {
  world.tabs.push_back(this);
  world.send(connection, std::string(kUpgrade) + "\r\n");
  const auto answers = world.answers(connection);
  EXPECT_EQ(answers.size(), 1u);
  if (!answers.empty()) {
    EXPECT_EQ(answers.front().status, 101);
  }
}

Tab::~Tab() { std::erase(world_->tabs, this); }

void Tab::answer_pings() {
  if (!answers_pings) return;
  const std::size_t known = control_.size();
  collect();
  for (std::size_t i = known; i < control_.size(); ++i) {
    if (control_[i].opcode == 9) world_->send(connection, client_frame(10, control_[i].payload));
  }
}

void Tab::collect() {
  bytes_ += world_->take(connection);
  for (ServerFrame& frame : take_frames(bytes_)) {
    EXPECT_TRUE(frame.final);
    if (frame.opcode == 1) {
      heard_.push_back(json::parse(frame.payload));
    } else {
      control_.push_back(std::move(frame));
    }
  }
}

json Tab::hear() {
  collect();
  EXPECT_FALSE(heard_.empty()) << "the server said nothing";
  if (heard_.empty()) return json{{"type", "nothing"}};
  json message = std::move(heard_.front());
  heard_.pop_front();
  return message;
}

json Tab::hear(std::string_view type) {
  json message = hear();
  EXPECT_EQ(message.value("type", ""), type) << message;
  return message;
}

bool Tab::silent() {
  collect();
  return heard_.empty();
}

void Tab::ignore() {
  collect();
  heard_.clear();
}

json Tab::join(std::string_view room, std::string_view name, std::string_view invitation) {
  json request = {{"type", "join"}, {"room", room}};
  if (!name.empty()) request["name"] = name;
  if (!invitation.empty()) request["invitation"] = invitation;
  say(request);
  json answer = hear();
  if (answer.value("type", "") == "joined") {
    self = answer["self"];
    session = answer["session"];
  }
  return answer;
}

int Tab::close_code() {
  collect();
  for (const ServerFrame& frame : control_) {
    if (frame.opcode != 8) continue;
    if (frame.payload.empty()) return 1005;
    turnpike::Reader in(as_bytes(frame.payload));
    return in.u16();
  }
  return 0;
}

std::vector<ServerFrame> Tab::control_frames() {
  collect();
  return std::exchange(control_, {});
}

}  // namespace turnpike::signaling::testing
