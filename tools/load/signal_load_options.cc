#include "tools/load/signal_load_options.h"

#include <netdb.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace turnpike::signal_load {

namespace {

constexpr int kMistake = 2;
constexpr const char* kAbout =
    "turnpike-signal-load: a load generator for signaling servers over WebSocket.\n\n"
    "Clients come in pairs; each pair has a room of its own. Load only servers that are yours.\n"
    "  relay  the pairs exchange messages at an offered rate; every message is verified\n"
    "  idle   the clients connect and wait: resident memory per connection (needs --pid)\n"
    "  join   the clients connect and enter their rooms as fast as --at-once allows";
constexpr const char* kNotes =
    "Latency runs from the moment at which a message was due, so a server that stalls cannot hide "
    "it by slowing the generator down. Turnpike lets one client send 200 messages at once and then "
    "50 a second: offer no more than 50 for each of --clients. It limits connections of one "
    "address, except of loopback. From loopback to loopback the clients use several addresses, so "
    "more than 28000 can connect.\n\n"
    "Exit code: 0 all was well; 1 messages were lost, damaged or out of order, or clients were "
    "lost; 2 a mistake in the options.\n\n"
    "Example: turnpike-signal-load relay --url ws://127.0.0.1:3478 --dialect socketio5 "
    "--clients 400 --rate 10000 --pid $(pidof turnpike)";

std::string dialect_list() {
  std::string list = "What the clients speak:";
  for (const Dialect* dialect : all_dialects()) {
    list.append("\n").append(dialect->name()).append(": ").append(dialect->description());
  }
  return list;
}

bool resolve(const UrlParts& parts, Target& target) {
  addrinfo wish{};
  wish.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(parts.host.c_str(), parts.port.c_str(), &wish, &found) != 0) return false;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  target.host = parts.authority;
  target.path = parts.path;
  return true;
}

// "" or the sentence that says what is wrong.
std::string complete(Options& options, const std::string& mode, const std::string& dialect) {
  options.mode = mode == "idle" ? Mode::kIdle : mode == "join" ? Mode::kJoin : Mode::kRelay;
  options.dialect = find_dialect(dialect);
  const auto parts = split_url(options.url);
  if (!parts) return "--url must be ws://host:port, with or without a path (wss is not spoken)";
  if (!resolve(*parts, options.target))
    return "--url names a host that is not known: " + parts->host;
  if (options.mode == Mode::kRelay && options.clients % 2 != 0) {
    return "--clients must be even: relay needs pairs";
  }
  if (options.mode == Mode::kIdle && options.pid == 0) return "idle needs --pid, the server's";
  if (options.pid != 0 && !std::filesystem::exists("/proc/" + std::to_string(options.pid))) {
    return "--pid: there is no process " + std::to_string(options.pid);
  }
  return {};
}

}  // namespace

std::optional<UrlParts> split_url(const std::string& url) {
  constexpr std::string_view kScheme = "ws://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  const std::string rest = url.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  UrlParts parts;
  parts.authority = rest.substr(0, slash);
  if (slash != std::string::npos) parts.path = rest.substr(slash);
  parts.host = parts.authority;
  parts.port = "80";
  const std::size_t bracket = parts.authority.find(']');
  const std::size_t colon = parts.authority.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) {
    parts.host = parts.authority.substr(0, colon);
    parts.port = parts.authority.substr(colon + 1);
  }
  if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']') {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  }
  const bool digits = parts.port.find_first_not_of("0123456789") == std::string::npos;
  if (parts.host.empty() || parts.port.empty() || !digits) return std::nullopt;
  return parts;
}

std::variant<Options, int> read_options(int argc, char** argv) {
  Options options;
  std::string mode = "relay";
  std::string dialect = "native";
  std::vector<std::string> dialects;
  for (const Dialect* one : all_dialects()) dialects.emplace_back(one->name());
  CLI::App app(kAbout, "turnpike-signal-load");
  app.footer(kNotes);
  app.add_option("mode", mode, "relay, idle or join")
      ->check(CLI::IsMember({"relay", "idle", "join"}));
  app.add_option("--url", options.url, "The server: ws://host:port. A path replaces the dialect's")
      ->capture_default_str();
  app.add_option("--dialect", dialect, dialect_list())
      ->check(CLI::IsMember(dialects))
      ->capture_default_str();
  app.add_option("--clients", options.clients, "Connections")
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
  app.add_option("--at-once", options.at_once, "Connections being opened at the same time")
      ->check(CLI::Range(1u, 4096u))
      ->capture_default_str();
  app.add_option("--rate", options.rate, "relay: messages a second, of all clients together")
      ->check(CLI::Range(1.0, 10'000'000.0))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds,
                 "relay: how long is measured; idle: how long to wait")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  app.add_option("--warm-up", options.warm_up, "relay: seconds under load before measuring")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  app.add_option("--payload", options.payload, "relay: bytes of the string in each message")
      ->check(CLI::Range(33u, 60u * 1024))
      ->capture_default_str();
  app.add_option("--pid", options.pid, "The server's process: reports its CPU time and memory")
      ->check(CLI::PositiveNumber);
  app.add_option("--json", options.json, "Write the results to this file; - prints only them");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kMistake;
  }
  if (const std::string wrong = complete(options, mode, dialect); !wrong.empty()) {
    std::fprintf(stderr, "turnpike-signal-load: %s\n", wrong.c_str());
    return kMistake;
  }
  return options;
}

}  // namespace turnpike::signal_load
