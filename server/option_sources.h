// Where options come from: the command line, TURNPIKE_... variables, a file, which is JSON or
// coturn's turnserver.conf. Each front end
// only finds out which option of the table was given which text; options.cc puts them together.
// Names that do not exist and options given twice are refused here, with the nearest known name.
// Main thread, at start only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "server/option_table.h"

namespace turnpike::server {

struct GivenOption {
  const Option* option = nullptr;
  std::string text;
  // Where exactly it stands, if the name of the option in this kind of source does not say it:
  // "TURNPIKE_USER__FILE", "user in /etc/turnserver.conf, line 3".
  std::string place;
};

enum class SourceKind : std::uint8_t { kCommandLine, kEnvironment, kFile };

struct Source {
  SourceKind kind = SourceKind::kCommandLine;
  std::string file;              // kFile
  bool others_may_read = false;  // that file
  std::vector<GivenOption> given;
  std::vector<std::string> warnings;  // what was understood and has no effect, or another one
  std::vector<std::string> notices;
};

// `arguments` without the program's name. CLI11 takes them apart.
Expected<Source> read_command_line(const std::vector<std::string>& arguments);

// `variables` are "NAME=value" texts; those that do not begin with TURNPIKE_ are not ours. Lists
// are separated by line breaks and, unless they are secrets, by commas. Empty means not given.
// NAME__FILE names a file that holds the value.
Expected<Source> read_environment(std::span<const std::string_view> variables);

// JSON, one object whose keys are option names (comments allowed, lists are arrays), or coturn's
// turnserver.conf: is_turnserver_conf says which.
Expected<Source> read_config_file(const std::string& path);

// By what the file says, and only where that says nothing by its name: JSON begins with a brace, a
// bracket or one of its comments, a turnserver.conf never does. A file called .json is JSON, so
// that what is wrong in it is said in terms of JSON; an empty one is not JSON unless it is called
// so, or .conf.
bool is_turnserver_conf(std::string_view path, std::string_view text);

// `text` is what stands in the file.
Expected<Source> read_turnserver_conf(const std::string& path, std::string_view text);

// "--realm x", "TURNPIKE_REALM=x", "\"realm\": x in FILE"; without the value of a secret.
std::string describe(const Source& source, const GivenOption& given);

// "; did you mean --realm?" in the spelling of that source, or nothing when no name is near.
std::string suggestion(std::string_view word, SourceKind kind);

// "--realm", "TURNPIKE_REALM" or "\"realm\"".
std::string spell(std::string_view option, SourceKind kind);

// Overwrites what belonged to secret options in the process's own argument vector, which every user
// of the machine can read in /proc/PID/cmdline. The texts must have been copied before.
void wipe_secret_arguments(int argc, char** argv);

}  // namespace turnpike::server
