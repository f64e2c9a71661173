// Files that an operator names on the command line: read whole, with a named maximum, and the
// sentence that an operator needs when that fails. Main thread, at start only.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/expected.h"

namespace turnpike::server {

inline constexpr std::size_t kMaxOptionFile = 1 << 20;

struct OptionFile {
  std::string content;
  bool others_may_read = false;  // readable by every user of the machine
};
// Works for pipes too (`--config <(...)`).
Expected<OptionFile> read_option_file(const std::string& path);

struct SecretLine {
  std::size_t number = 0;  // in the file, from 1
  std::string text;
};
// One secret a line; blank lines and lines that begin with # are skipped, blanks at both ends are
// cut (a trailing newline is never part of a password). A file without any is an Error.
struct SecretFile {
  std::vector<SecretLine> lines;
  bool others_may_read = false;
};
Expected<SecretFile> read_secret_file(const std::string& path);

}  // namespace turnpike::server
