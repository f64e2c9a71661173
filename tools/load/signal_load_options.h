// What turnpike-signal-load is asked to do. A value, made from the command line.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "tools/load/signal_load_crowd.h"

namespace turnpike::signal_load {

enum class Mode : std::uint8_t { kRelay, kIdle, kJoin };

struct Options {
  Mode mode = Mode::kRelay;
  std::string url = "ws://127.0.0.1:3478";
  const Dialect* dialect = nullptr;
  std::uint32_t clients = 200;
  std::uint32_t at_once = 64;
  double rate = 5000;  // messages a second, of all clients together
  double seconds = 10;
  double warm_up = 1;
  std::uint32_t payload = 256;
  pid_t pid = 0;     // 0: not given
  std::string json;  // a file, "-" is standard output; empty: none
  Target target;     // of the url
};

// The options, or the exit code after help or a mistake (already printed).
std::variant<Options, int> read_options(int argc, char** argv);

struct UrlParts {
  std::string host;  // without brackets
  std::string port;
  std::string authority;
  std::string path;  // with the query; may be empty
};
// nullopt: not ws://host[:port][/path].
std::optional<UrlParts> split_url(const std::string& url);

}  // namespace turnpike::signal_load
