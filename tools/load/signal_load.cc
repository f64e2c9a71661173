// turnpike-signal-load: loads a signaling server and says what came of it.

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>

#include "tools/load/signal_load_report.h"
#include "tools/load/turn_load_sockets.h"

namespace turnpike::signal_load {
namespace {

constexpr double kTurnpikesPace = 50;  // messages a second of one client

Findings run(const Options& options) {
  switch (options.mode) {
    case Mode::kIdle:
      return run_idle(options);
    case Mode::kJoin:
      return run_join(options);
    case Mode::kRelay:
      break;
  }
  return run_relay(options);
}

bool write_json(const std::string& path, const std::string& text) {
  std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    std::fprintf(stderr, "turnpike-signal-load: cannot write %s\n", path.c_str());
    return false;
  }
  std::fputs(text.c_str(), file);
  return path == "-" || std::fclose(file) == 0;
}

int main_of(const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);
  load::raise_file_limit();
  ::prctl(PR_SET_TIMERSLACK, 1);  // the schedule has ticks of 200 us
  if (options.mode == Mode::kRelay && options.rate > options.clients * kTurnpikesPace) {
    std::fprintf(stderr,
                 "turnpike-signal-load: more than 50 messages a second for each client; turnpike "
                 "drops what is over that\n");
  }
  const Findings findings = run(options);
  if (options.json != "-") std::fputs(table_of(options, findings).c_str(), stdout);
  if (!options.json.empty() && !write_json(options.json, json_of(options, findings))) return 2;
  return findings.all_well() ? 0 : 1;
}

}  // namespace
}  // namespace turnpike::signal_load

int main(int argc, char** argv) {
  const auto options = turnpike::signal_load::read_options(argc, argv);
  if (const int* code = std::get_if<int>(&options)) return *code;
  return turnpike::signal_load::main_of(std::get<turnpike::signal_load::Options>(options));
}
