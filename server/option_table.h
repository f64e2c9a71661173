// The one table of options. Every front end is made from it: command-line flags, TURNPIKE_...
// variables, the JSON file, --help, and the test that docs/configuration.md names them all.
// Constant data; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "server/config.h"

namespace turnpike::server {

enum class OptionGroup : std::uint8_t {
  kListening,
  kRelaying,
  kCredentials,
  kRooms,
  kWeb,
  kTls,
  kMonitoring,
  kLog,
  kProcess
};
// As --help and everything else that is written about options has them.
// clang-format off
inline constexpr std::array kGroupsInOrder = {
    OptionGroup::kListening, OptionGroup::kRelaying, OptionGroup::kCredentials,
    OptionGroup::kRooms, OptionGroup::kTls, OptionGroup::kWeb,
    OptionGroup::kMonitoring, OptionGroup::kLog, OptionGroup::kProcess};
// clang-format on
enum class Arity : std::uint8_t { kFlag, kOnce, kRepeatable };
enum class Secrecy : std::uint8_t { kPublic, kSecret };

struct Option {
  std::string_view name;   // "listening-port"
  std::string_view value;  // what --help calls the value, "IP"; empty for a flag
  OptionGroup group;
  Arity arity;
  Secrecy secrecy;
  // Options with the same setting fill one list together (--user and --user-file): a source that
  // gives any of them replaces what sources of lower precedence say about all of them.
  std::string_view setting;
  std::string_view fallback;  // the default, for --help; empty when `help` says it
  std::string_view help;
  // Reads one value into the Config. The Error says what is expected and never repeats the value:
  // the caller does, unless it is a secret.
  Expected<void> (*apply)(Config& config, std::string_view value);
};

std::span<const Option> option_table();
const Option* find_option(std::string_view name);
std::string_view title(OptionGroup group);

// A question such as --help, which only the command line asks.
bool asks_only(const Option& option);

// "listening-port" becomes "TURNPIKE_LISTENING_PORT".
std::string environment_name(std::string_view option);

// What the table alone cannot see: ports that collide, a certificate without its key. Call once
// after every value was applied.
Expected<void> check_together(const Config& config);

}  // namespace turnpike::server
