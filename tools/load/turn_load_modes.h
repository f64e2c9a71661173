// The four modes. Each runs to its end and fills a report; an Error means that it could not begin.
#pragma once

#include "base/expected.h"
#include "tools/load/turn_load_options.h"
#include "tools/load/turn_load_report.h"

namespace turnpike::load {

Expected<Report> run_binding(const Options& options);
Expected<Report> run_setup(const Options& options);
Expected<Report> run_relay(const Options& options);
Expected<Report> run_idle(const Options& options);

}  // namespace turnpike::load
