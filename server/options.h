// From the process's arguments to a Config: command line before environment before JSON file, each
// read with the one table of options. Main thread, at start only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "server/config.h"
#include "server/option_table.h"

namespace turnpike::server {

// One value that took effect.
struct Setting {
  const Option* option = nullptr;
  std::string text;    // empty: a secret
  std::string origin;  // "command line", "TURNPIKE_REALM", "realm=x in FILE, line 3"
};

struct Invocation {
  enum class Wish : std::uint8_t { kServe, kHelp, kVersion, kCheck, kPrint };
  Wish wish = Wish::kServe;
  Config config;
  std::vector<Setting> settings;
};

// Secrets in `argv` are overwritten. `environment` is a list like environ, ended by a null pointer.
// The Error is the sentence to print; the exit code is kExitUsage.
Expected<Invocation> read_options(int argc, char** argv, char** environment);

std::string help_text();
std::string_view version();

}  // namespace turnpike::server
