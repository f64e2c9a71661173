// turnpike-load: load on a STUN/TURN server, verified and measured. See --help.

#include <csignal>

#include "tools/load/turn_load_fleet.h"
#include "tools/load/turn_load_modes.h"

namespace {

using namespace turnpike::load;

turnpike::Expected<Report> run(const Options& options) {
  switch (options.mode) {
    case Mode::kBinding:
      return run_binding(options);
    case Mode::kSetup:
      return run_setup(options);
    case Mode::kIdle:
      return run_idle(options);
    case Mode::kRelay:
      break;
  }
  return run_relay(options);
}

}  // namespace

int main(int argc, char** argv) {
  const Parsed parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  std::signal(SIGPIPE, SIG_IGN);
  end_on_signals();
  const auto report = run(*parsed.options);
  if (!report) return print_failure(report.error().message);
  print_report(*parsed.options, *report);
  return report->exit_code();
}
