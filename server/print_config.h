// --print-config: the effective configuration as JSON that --config reads, each value with where it
// comes from. Values of secrets are left out. Main thread.
#pragma once

#include <span>
#include <string>

#include "server/options.h"

namespace turnpike::server {

std::string print_config(std::span<const Setting> settings);

}  // namespace turnpike::server
