// turnpike-call: whole calls through a server, verified and judged. See --help.

#include <csignal>
#include <cstdio>

#include "tools/call/options.h"
#include "tools/call/report.h"
#include "tools/call/run.h"
#include "tools/load/turn_load_sockets.h"

namespace {

using namespace turnpike::call;

int fail(const std::string& why) {
  std::fprintf(stderr, "turnpike-call: %s\n", why.c_str());
  return kExitMistake;
}

bool write_file(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

}  // namespace

int main(int argc, char** argv) {
  const Parsed parsed = parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  const Options& options = *parsed.options;
  std::signal(SIGPIPE, SIG_IGN);
  turnpike::load::raise_file_limit();
  hang_up_on_signals();
  const auto totals = Run::run(options);
  if (!totals) return fail(totals.error().message);
  const std::string report = options.json ? json_of(options, *totals) : table_of(options, *totals);
  std::fputs(report.c_str(), stdout);
  if (!options.svg.empty() && !write_file(options.svg, plot_of(options, *totals))) {
    return fail("--svg: " + options.svg + " cannot be written");
  }
  return totals->failed() > 0 || totals->calls() == 0 ? kExitFailures : 0;
}
