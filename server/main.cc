// The composition root: what was asked, what stands on disk, what this machine is, then run.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "server/check_config.h"
#include "server/options.h"
#include "server/plan.h"
#include "server/print_config.h"
#include "server/privileges.h"
#include "server/run.h"
#include "server/state_dir.h"

namespace {

using namespace turnpike;
using namespace turnpike::server;

int refuse(ExitCode code, const std::string& sentence) {
  fmt::print(stderr, "turnpike: {}\n", sentence);
  return code;
}

WallTime wall_now() {
  return {std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch())};
}

int serve(Config config) {
  SystemRandom random;
  const auto generated = generated_secrets(config, current_caller(), random);
  if (!generated) return refuse(kExitState, generated.error().message);
  const auto plan = make_plan(std::move(config), look_at_machine(), *generated);
  if (!plan) return refuse(plan.error().code, plan.error().message);
  forbid_core_dumps();
  log::start(log::Level::kInfo);
  for (const std::string& warning : plan->config.warnings) log::warning("{}", warning);
  for (const std::string& notice : plan->notices) log::info("{}", notice);
  const int code = run(*plan);
  log::stop();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  // They must not kill the server while it starts, either; run() gives some of them a meaning.
  for (const int ignored : {SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) std::signal(ignored, SIG_IGN);
  auto invocation = read_options(argc, argv, environ);
  if (!invocation) return refuse(kExitUsage, invocation.error().message);
  switch (invocation->wish) {
    case Invocation::Wish::kHelp:
      fmt::print("{}", help_text());
      return kExitOk;
    case Invocation::Wish::kVersion:
      fmt::print("turnpike {}\n", version());
      return kExitOk;
    case Invocation::Wish::kPrint:
      fmt::print("{}", print_config(invocation->settings));
      return kExitOk;
    case Invocation::Wish::kCheck: {
      const auto checked =
          report(check_config(std::move(invocation->config), look_at_machine(), wall_now()));
      fmt::print("{}", checked.text);
      return checked.code;
    }
    case Invocation::Wish::kServe:
      break;
  }
  if (auto warning = prepare_process()) invocation->config.notices.push_back(std::move(*warning));
  return serve(std::move(invocation->config));
}
