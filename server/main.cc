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
#include "server/credentials_command.h"
#include "server/doctor_command.h"
#include "server/options.h"
#include "server/plan.h"
#include "server/print_config.h"
#include "server/privileges.h"
#include "server/run.h"
#include "server/state_dir.h"
#include "server/subcommands.h"

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
  log::start(plan->config.logging);
  for (const std::string& warning : plan->config.warnings) log::warning("{}", warning);
  for (const std::string& notice : plan->notices) log::info("{}", notice);
  const int code = run(*plan);
  log::stop();
  return code;
}

int print_credentials(const SubcommandLine& line, Config config) {
  const auto wish = read_credentials_wish(line);
  if (!wish) return refuse(kExitUsage, wish.error().message);
  const auto secrets = existing_secrets(config, current_caller());
  if (!secrets) return refuse(kExitState, secrets.error().message);
  const auto text =
      credentials_text(std::move(config), look_at_machine(), *secrets, *wish, wall_now());
  if (!text) return refuse(text.error().code, text.error().message);
  fmt::print("{}", *text);
  return kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  // They must not kill the server while it starts, either; run() gives some of them a meaning.
  for (const int ignored : {SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) std::signal(ignored, SIG_IGN);
  auto line = split_command_line(argc, argv);
  if (!line) return refuse(kExitUsage, line.error().message);
  auto invocation = read_options(static_cast<int>(line->rest.size()), line->rest.data(), environ);
  const bool asks_doctor = line->subcommand->kind == Subcommand::Kind::kDoctor;
  if (asks_doctor && (!invocation || invocation->wish == Invocation::Wish::kServe)) {
    return run_doctor(*line, std::move(invocation));
  }
  if (!invocation) return refuse(kExitUsage, invocation.error().message);
  const bool serves = line->subcommand->kind == Subcommand::Kind::kServe;
  switch (invocation->wish) {
    case Invocation::Wish::kHelp:
      fmt::print("{}", serves ? help_text() : help_text(*line->subcommand));
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
  if (line->subcommand->kind == Subcommand::Kind::kCredentials) {
    return print_credentials(*line, std::move(invocation->config));
  }
  if (auto warning = prepare_process()) invocation->config.notices.push_back(std::move(*warning));
  return serve(std::move(invocation->config));
}
