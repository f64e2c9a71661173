// What a run found, for people and for programs.
#pragma once

#include <string>

#include "tools/load/signal_load_runs.h"

namespace turnpike::signal_load {

std::string table_of(const Options& options, const Findings& findings);
std::string json_of(const Options& options, const Findings& findings);

}  // namespace turnpike::signal_load
