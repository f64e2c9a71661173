// What the first word of the command line may ask for instead of serving: `turnpike credentials`,
// and so on. Each reads the same configuration as the server does, from the same three sources, and
// has a few options besides, which are in the table here. Constant data and pure functions; main
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"

namespace turnpike::server {

struct SubcommandOption {
  std::string_view name;   // "ttl"
  std::string_view value;  // what --help calls the value; empty for a flag
  std::string_view help;
};

struct Subcommand {
  // kCtl has words of its own behind it, no options of the server: ctl.h reads them.
  enum class Kind : std::uint8_t { kServe, kCredentials, kDoctor, kCtl };
  Kind kind = Kind::kServe;
  std::string_view name;
  std::string_view help;
  std::span<const SubcommandOption> options;
};

std::span<const Subcommand> subcommands();

struct SubcommandLine {
  const Subcommand* subcommand = nullptr;  // never null after split_command_line
  std::map<std::string_view, std::string> given;
  std::vector<char*> rest;  // for read_options: the program's name and what is left

  bool has(std::string_view name) const { return given.contains(name); }
  std::optional<std::string_view> text_of(std::string_view name) const;
};
// Without a first word it is the one that serves.
Expected<SubcommandLine> split_command_line(int argc, char** argv);

// What --help says behind the name of a subcommand. Implemented in help.cc.
std::string help_text(const Subcommand& subcommand);

}  // namespace turnpike::server
