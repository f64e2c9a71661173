// --check-config: reads all that a start reads and says what it finds, but opens no port, starts no
// thread and writes nothing. Main thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "server/config.h"
#include "server/plan.h"

namespace turnpike::server {

struct Finding {
  enum class Kind : std::uint8_t { kGood, kNote, kWarning, kError };
  Kind kind = Kind::kNote;
  std::string sentence;
  std::string remedy = {};  // what mends it, where the sentence does not say so
};

std::vector<Finding> check_config(Config config, const Machine& machine, WallTime now);

// What the certificate file says that browsers and other clients will stumble over. The file has
// been loaded as a certificate before.
std::vector<Finding> check_certificate(const std::string& file, WallTime now);

// One line for each and a last one with the sum. kExitOk, or kExitUsage where there is an error.
struct CheckReport {
  std::string text;
  ExitCode code = kExitOk;
};
CheckReport report(const std::vector<Finding>& findings);

}  // namespace turnpike::server
