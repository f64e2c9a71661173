// The composition root: what was asked, what stands on disk, what this machine is, then run.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "server/check_config.h"
#include "server/credentials_command.h"
#include "server/ctl.h"
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

// The same sources once more: files are read anew, the command line is as it was given.
Expected<Config> read_again(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  auto again = read_options(static_cast<int>(arguments.size()), pointers.data(), environ);
  if (!again) return unexpected(std::move(again.error()));
  return std::move(again->config);
}

Expected<GeneratedSecrets, StartError> generate(const Config& config) {
  SystemRandom random;
  auto made = generated_secrets(config, current_caller(), random);
  if (!made) return unexpected(StartError{kExitState, std::move(made.error().message)});
  return std::move(*made);
}

// What was generated stays; another user than the one who started it may not even read it.
Expected<GeneratedSecrets, StartError> generate_more(const GeneratedSecrets& known,
                                                     const Config& config) {
  const bool enough = (!config.shared_secrets.empty() || !known.shared_secret.empty()) &&
                      (!config.api_keys.empty() || !known.api_key.empty());
  if (!enough) return generate(config);
  return known;
}

int serve(Config config, const std::vector<std::string>& arguments) {
  const auto generated = generate(config);
  if (!generated) return refuse(kExitState, generated.error().message);
  const Origin origin{
      [&arguments] { return read_again(arguments); },
      [&generated](const Config& again) { return generate_more(*generated, again); },
      look_at_machine()};
  const auto plan = make_plan(std::move(config), origin.machine, *generated);
  if (!plan) return refuse(plan.error().code, plan.error().message);
  forbid_core_dumps();
  log::start(plan->config.logging);
  for (const std::string& warning : plan->config.warnings) log::warning("{}", warning);
  for (const std::string& notice : plan->notices) log::info("{}", notice);
  const int code = run(*plan, origin);
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
  if (argc > 1 && std::string_view(argv[1]) == "ctl") return run_ctl({argv + 2, argv + argc});
  auto line = split_command_line(argc, argv);
  if (!line) return refuse(kExitUsage, line.error().message);
  // With secrets that are about to be wiped from where every user of the machine could see them.
  const std::vector<std::string> arguments(line->rest.begin(), line->rest.end());
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
  return serve(std::move(invocation->config), arguments);
}
