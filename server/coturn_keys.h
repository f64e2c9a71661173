// The one table of coturn's turnserver.conf: what becomes of each key. The reader of such files
// (turnserver_conf.cc) works by it, and docs/migration-from-coturn.md is made from it. Constant
// data; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/text.h"

namespace turnpike::server {

enum class Verdict : std::uint8_t {
  kAccepted,  // the option of the same name, or what this server does anyway
  kMapped,    // another option, or another value
  kWarned,    // no effect here, which one warning says
  kRefused,   // starting in spite of it would be unsafe or misleading
};
enum class KeyForm : std::uint8_t {
  kSwitch,    // bare, or with a boolean
  kText,      // needs a value
  kOptional,  // a value, or bare
};

// What a value is in the terms of our option.
struct Translation {
  std::vector<std::string> values;
  std::string remark;            // when it is not quite what was asked for
  std::string_view option = {};  // when this value is another option's
};

struct CoturnKey {
  std::string_view name;
  Verdict verdict;
  KeyForm form;
  std::string_view option;  // ours; empty: nothing to set
  // What the table in the documentation says; of a warning or a refusal the sentence itself.
  std::string_view note;
  // Null: the text as it is. Never called for a switch that is off and maps to no option.
  Expected<Translation> (*translate)(std::string_view text) = nullptr;
};

std::span<const CoturnKey> coturn_keys();
const CoturnKey* find_coturn_key(std::string_view name);
std::string_view to_word(Verdict verdict);

// Where coturn's default is another than ours and clients or operators rely on it.
struct CoturnDefault {
  std::string_view option;
  std::string_view value;
  std::string_view reason;
};
std::span<const CoturnDefault> coturn_defaults();

// A boolean as coturn reads it: bare is true, otherwise the first letter decides.
Expected<bool> parse_coturn_switch(std::string_view text);

}  // namespace turnpike::server
