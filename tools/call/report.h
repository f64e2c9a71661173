// What a run found, for people, for programs and as a picture.
#pragma once

#include <string>

#include "tools/call/options.h"
#include "tools/call/record.h"

namespace turnpike::call {

std::string json_of(const Options& options, const Totals& totals);
std::string table_of(const Options& options, const Totals& totals);
// SVG, without anything from elsewhere: loss, delay and calls over time, and set-up times.
std::string plot_of(const Options& options, const Totals& totals);

}  // namespace turnpike::call
