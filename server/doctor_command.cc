#include "server/doctor_command.h"

#include <fmt/format.h>

#include <chrono>
#include <iterator>
#include <utility>

#include "server/doctor.h"
#include "server/option_values.h"
#include "server/state_dir.h"
#include "server/stun_question.h"

namespace turnpike::server {
namespace {

using State = Diagnosis::State;

constexpr std::string_view kCheck = "configuration";
constexpr int kSick = 1;

WallTime wall_now() {
  return {std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch())};
}

// As --external-ip auto: has it.
Expected<std::optional<StunServer>> server_to_ask(const SubcommandLine& line) {
  const auto text = line.text_of("stun-server");
  if (!text) return std::optional<StunServer>();
  Config scratch;
  if (auto read = add_external_ip(scratch, fmt::format("auto:{}", *text)); !read) {
    return failure(fmt::format("--stun-server {}: {}", *text, read.error().message));
  }
  if (scratch.stun_servers.empty()) {
    return failure("--stun-server: expected HOST or HOST:PORT");
  }
  return std::optional(scratch.stun_servers.front());
}

void append(Diagnoses& all, Diagnoses more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
}

Diagnoses examine_configuration(Invocation invocation, std::optional<StunServer> ask) {
  Diagnoses found;
  for (std::string& warning : invocation.config.warnings) {
    found.push_back({State::kWarning, kCheck, std::move(warning), ""});
  }
  for (std::string& notice : invocation.config.notices) {
    found.push_back({State::kNote, kCheck, std::move(notice), ""});
  }
  invocation.config.notices.clear();
  auto secrets = existing_secrets(invocation.config, current_caller());
  if (!secrets) {
    found.push_back({State::kProblem, kCheck, std::move(secrets.error().message), ""});
    secrets = GeneratedSecrets{};
  }
  const auto plan = make_plan(std::move(invocation.config), look_at_machine(), *secrets);
  if (!plan) {
    found.push_back({State::kProblem, kCheck, plan.error().message, ""});
    return found;
  }
  found.push_back({State::kGood, kCheck, "it can be read and makes sense together", ""});
  append(found, examine_ports(*plan));
  append(found, examine_addresses(*plan, {std::move(ask), ask_stun_server, resolve_name}));
  append(found, examine_certificate(*plan, wall_now()));
  return found;
}

}  // namespace

int run_doctor(const SubcommandLine& line, Expected<Invocation> invocation) {
  Diagnoses found;
  auto ask = server_to_ask(line);
  if (!ask) {
    fmt::print(stderr, "turnpike: {}\n", ask.error().message);
    return kExitUsage;
  }
  if (invocation) {
    found = examine_configuration(std::move(*invocation), std::move(*ask));
  } else {
    found.push_back({State::kProblem, kCheck, std::move(invocation.error().message), ""});
  }
  append(found, examine_host(look_at_host()));
  fmt::print("{}", line.has("json") ? to_json(found) : to_text(found));
  return has_problem(found) ? kSick : kExitOk;
}

}  // namespace turnpike::server
