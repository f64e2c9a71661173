#include "server/ctl.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "net/descriptor.h"
#include "signaling/http_response.h"

namespace turnpike::server {
namespace {

using nlohmann::json;
using signaling::http::percent_encode;

constexpr int kExitRefused = 1;
constexpr std::size_t kMaxBody = 64u << 20;
constexpr int kPatience = 15;  // seconds

constexpr const char* kHelp =
    R"(turnpike ctl [--socket PATH] [--json] COMMAND

Asks the turnpike that runs on this machine.

  info                               what runs, since when, with how many clients
  sessions [--user NAME | --room ROOM] [--limit N]
                                     live allocations, with the bytes relayed so far
  rooms [--limit N]                  rooms and who is in them
  audit                              compares all that the server keeps with itself and with what
                                     the kernel says; exit status 1 where something is wrong
  kick ID                            ends an allocation (1-5a00000c3) or removes a member (m-...)
  drain                              lets nobody new in and ends with the last one, as SIGUSR1
  reload                             reads the configuration again, as SIGHUP
  log-level debug|info|warning|error until the next reload or start
  credentials [--name NAME] [--ttl SECONDS]
                                     relay credentials as an iceServers list

  --socket PATH   the server's --admin-socket; default: $TURNPIKE_ADMIN_SOCKET,
                  $RUNTIME_DIRECTORY/turnpike.sock, /run/turnpike/turnpike.sock
  --json          print what the server answers, not a table
)";

// The arguments, taken one by one.
class Words {
 public:
  explicit Words(const std::vector<std::string>& words) : words_(words) {}
  bool done() const { return at_ == words_.size(); }
  const std::string& next() { return words_[at_++]; }
  Expected<std::string> value_of(const std::string& option) {
    if (done()) return failure(option + " needs a value");
    return next();
  }

 private:
  const std::vector<std::string>& words_;
  std::size_t at_ = 0;
};

// What a verb takes besides --socket and --json.
struct Verb {
  const char* name;
  const char* method;
  const char* target;
  const char* operand;                 // what it is called; nullptr: none
  std::array<const char*, 3> options;  // query or body members of that name
};
constexpr std::array kVerbs = {
    Verb{"info", "GET", "info", nullptr, {}},
    Verb{"sessions", "GET", "allocations", nullptr, {"user", "room", "limit"}},
    Verb{"rooms", "GET", "rooms", nullptr, {"limit"}},
    Verb{"audit", "GET", "audit", nullptr, {}},
    Verb{"kick", "DELETE", "", "an id", {}},
    Verb{"drain", "POST", "drain", nullptr, {}},
    Verb{"reload", "POST", "reload", nullptr, {}},
    Verb{"log-level", "POST", "loglevel", "a level", {}},
    Verb{"credentials", "POST", "credentials", nullptr, {"name", "ttl"}},
};

const Verb* find_verb(const std::string& name) {
  const auto found = std::find_if(kVerbs.begin(), kVerbs.end(),
                                  [&](const Verb& verb) { return name == verb.name; });
  return found == kVerbs.end() ? nullptr : &*found;
}

bool takes(const Verb& verb, const std::string& option) {
  return std::any_of(verb.options.begin(), verb.options.end(), [&](const char* known) {
    return known != nullptr && option == std::string("--") + known;
  });
}

Expected<void> add_option(CtlCommand& command, const std::string& option,
                          const std::string& value) {
  const std::string name = option.substr(2);
  if (command.method == "GET") {
    command.target += command.target.find('?') == std::string::npos ? '?' : '&';
    command.target += name + "=" + percent_encode(value);
    return {};
  }
  json body = json::parse(command.body);
  if (name == "ttl") {
    const json number = json::parse(value, nullptr, false);
    if (!number.is_number_unsigned()) return failure("--ttl needs a number of seconds");
    body[name] = number;
  } else {
    body[name] = value;
  }
  command.body = body.dump();
  return {};
}

Expected<void> add_operand(CtlCommand& command, const std::string& operand) {
  if (command.verb == "log-level") {
    command.body = json{{"level", operand}}.dump();
  } else {
    const bool member = operand.starts_with("m-");
    command.target += (member ? "members/" : "allocations/") + percent_encode(operand);
  }
  return {};
}

struct Answer {
  unsigned status = 0;
  std::string body;
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

Expected<Answer> ask(const std::string& path, const CtlCommand& command,
                     const std::string& target) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure(path + ": the path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  const net::Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{kPatience, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failure(fmt::format("no server answers at {}: {}", path, std::strerror(errno)));
  }
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
      "Content-Length: {}\r\n\r\n{}",
      command.method, target, command.body.size(), command.body);
  if (!write_all(socket.get(), request)) return failure("the server hung up");
  signaling::http::ResponseParser parser(kMaxBody);
  using State = signaling::http::ResponseParser::State;
  std::array<std::uint8_t, 16384> room;
  while (parser.state() == State::kNeedsMore) {
    const ssize_t got = ::recv(socket.get(), room.data(), room.size(), 0);
    if (got < 0) return failure(std::string("the server does not answer: ") + std::strerror(errno));
    if (got == 0) parser.on_end();
    ByteView bytes(room.data(), static_cast<std::size_t>(got));
    while (!bytes.empty() && parser.state() == State::kNeedsMore) {
      bytes = bytes.subspan(parser.feed(bytes));
    }
  }
  if (parser.state() == State::kFailed) return failure(std::string(parser.failure()));
  auto response = parser.take();
  return Answer{response.status, std::move(response.body)};
}

// Columns as wide as their widest cell; the last one is not padded.
std::string columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      text += last ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    text += '\n';
  }
  return text;
}

// For a terminal: names come from clients.
std::string shown(const json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string in_bytes(const json& value) {
  auto number = value.get<double>();
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (; number >= 1000 && unit + 1 < kUnits.size(); ++unit) number /= 1000;
  return fmt::format("{:.{}f} {}", number, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string sessions_table(const json& body) {
  std::vector<std::vector<std::string>> rows = {
      {"ID", "USER", "CLIENT", "RELAYED", "TO PEERS", "TO CLIENT", "LEFT"}};
  for (const json& row : body["allocations"]) {
    std::string relayed;
    for (const json& address : row["relayed"])
      relayed += (relayed.empty() ? "" : ",") + shown(address);
    rows.push_back({shown(row["id"]), shown(row["user"]),
                    shown(row["transport"]) + " " + shown(row["client"]), relayed,
                    in_bytes(row["bytes_to_peers"]), in_bytes(row["bytes_to_client"]),
                    shown(row["seconds_left"]) + " s"});
  }
  std::string text = columns(rows);
  if (!body["next"].is_null())
    text += "there are more: raise --limit, 1000 at most, or use --json\n";
  return text;
}

std::string rooms_table(const json& body) {
  std::vector<std::vector<std::string>> rows = {{"ROOM", "MEMBER", "STATE", "NAME"}};
  for (const json& room : body["rooms"]) {
    for (const json& member : room["members"]) {
      rows.push_back({shown(room["room"]), shown(member["id"]),
                      member["away"].get<bool>() ? "away" : "here", shown(member["name"])});
    }
  }
  std::string text = columns(rows);
  if (body.value("more", false)) text += "there are more: raise --limit\n";
  return text;
}

std::string facts_table(const json& body) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : body.items()) {
    if (!value.is_structured()) rows.push_back({name, shown(value)});
  }
  return columns(rows);
}

std::string audit_table(const json& body) {
  json facts = body;
  facts.erase("more");
  std::string text = facts_table(facts);
  const json findings = body.value("findings", json::array());
  if (findings.empty()) return text + "\nnothing is wrong\n";
  text += "\n";
  for (const json& finding : findings) text += "WRONG: " + shown(finding) + "\n";
  if (const auto more = body.value("more", 0u); more > 0) {
    text += fmt::format("and {} more\n", more);
  }
  return text;
}

bool finds_something(const std::string& body) {
  const json read = json::parse(body, nullptr, false);
  return !read.is_object() || !read.value("findings", json::array()).empty();
}

// What is open for a moment only, such as a file that is just being read, is not found each time.
Expected<Answer> ask_until_sure(const std::string& path, const CtlCommand& command) {
  constexpr int kAttempts = 3;
  constexpr unsigned kPause = 200'000;  // microseconds
  for (int attempt = 1;; ++attempt) {
    auto answer = ask(path, command, command.target);
    const bool sure = !answer || attempt == kAttempts || command.verb != "audit" ||
                      (answer->status == 200 && !finds_something(answer->body));
    if (sure) return answer;
    ::usleep(kPause);
  }
}

}  // namespace

std::string ctl_help() { return kHelp; }

Expected<CtlCommand> read_ctl(const std::vector<std::string>& arguments) {
  CtlCommand command;
  const Verb* verb = nullptr;
  bool has_operand = false;
  Words words(arguments);
  while (!words.done()) {
    const std::string& word = words.next();
    if (word == "--help" || word == "-h") {
      command.help = true;
      return command;
    }
    if (word == "--json") {
      command.json = true;
    } else if (word == "--socket") {
      auto path = words.value_of(word);
      if (!path) return unexpected(path.error());
      command.socket = *path;
    } else if (verb != nullptr && takes(*verb, word)) {
      auto value = words.value_of(word);
      if (!value) return unexpected(value.error());
      if (auto added = add_option(command, word, *value); !added) return unexpected(added.error());
    } else if (verb == nullptr && !word.starts_with("-")) {
      verb = find_verb(word);
      if (verb == nullptr) return failure("there is no command " + word);
      command.verb = verb->name;
      command.method = verb->method;
      command.target = std::string("/admin/v1/") + verb->target;
      if (command.method == "POST") command.body = "{}";
    } else if (verb != nullptr && verb->operand != nullptr && !has_operand) {
      has_operand = true;
      if (auto added = add_operand(command, word); !added) return unexpected(added.error());
    } else {
      return failure("what is " + word + "?");
    }
  }
  if (verb == nullptr) return failure("which command?");
  if (verb->operand != nullptr && !has_operand) {
    return failure(command.verb + " needs " + verb->operand);
  }
  return command;
}

std::string ctl_socket(const std::string& wished) {
  if (!wished.empty()) return wished;
  if (const char* named = std::getenv("TURNPIKE_ADMIN_SOCKET")) return named;
  if (const char* folder = std::getenv("RUNTIME_DIRECTORY")) {
    return std::string(folder) + "/turnpike.sock";
  }
  return kDefaultSocket;
}

std::string ctl_table(const std::string& verb, const std::string& body) {
  const json read = json::parse(body, nullptr, false);
  if (!read.is_object()) return body;
  if (verb == "sessions") return sessions_table(read);
  if (verb == "rooms") return rooms_table(read);
  if (verb == "audit") return audit_table(read);
  if (verb == "credentials") return read.dump(2) + "\n";
  if (verb == "kick") return "ended\n";
  if (verb == "drain") return "draining: nobody new is let in\n";
  if (verb == "log-level") return "the log level is " + shown(read.value("level", json())) + "\n";
  if (verb != "reload") return facts_table(read);
  std::string text = "reloaded\n";
  for (const json& option : read.value("need_restart", json::array())) {
    text += "--" + shown(option) + " has changed, which takes a restart\n";
  }
  return text;
}

int run_ctl(const std::vector<std::string>& arguments) {
  const auto command = read_ctl(arguments);
  if (!command) {
    fmt::print(stderr, "turnpike ctl: {}; see turnpike ctl --help\n", command.error().message);
    return kExitUsage;
  }
  if (command->help) {
    fmt::print("{}", ctl_help());
    return kExitOk;
  }
  const auto answer = ask_until_sure(ctl_socket(command->socket), *command);
  if (!answer) {
    fmt::print(stderr, "turnpike ctl: {}\n", answer.error().message);
    return kExitCannotListen;
  }
  if (answer->status >= 300) {
    const json error = json::parse(answer->body, nullptr, false);
    const bool told = error.is_object() && error.contains("message");
    fmt::print(stderr, "turnpike ctl: {}\n",
               told ? shown(error["message"]) : fmt::format("status {}", answer->status));
    return kExitRefused;
  }
  fmt::print("{}", command->json ? answer->body : ctl_table(command->verb, answer->body));
  if (command->verb == "audit" && finds_something(answer->body)) return kExitRefused;
  return kExitOk;
}

}  // namespace turnpike::server
