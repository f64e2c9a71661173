#include "server/life_cycle.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "base/log.h"
#include "server/privileges.h"

namespace turnpike::server {
namespace {

std::string in_words(const Live& live) {
  return fmt::format("allocations left: {}, signaling clients left: {}", live.allocations,
                     live.conversations);
}

std::string until(const std::optional<seconds>& left) {
  return left ? fmt::format("for {} s at most", left->count()) : "for as long as they like";
}

}  // namespace

LifeCycle::LifeCycle(Runtime& runtime, const Plan& plan, const Origin& origin,
                     ServiceManager& manager)
    : runtime_(runtime),
      origin_(origin),
      manager_(manager),
      plan_(plan),
      watch_(runtime.main_loop(), [this] { (void)renew_certificate(); }) {
  watch_certificate();
}

// Root may have given up the right to read what it had read for us.
void LifeCycle::watch_certificate() {
  if (!plan_.certificates()) return watch_.watch({});
  std::vector<std::string> files;
  for (const auto& [certificate, key] : certificate_pairs(plan_.config)) {
    files.push_back(certificate);
    files.push_back(key);
  }
  for (const std::string& file : files) {
    if (::access(file.c_str(), R_OK) == 0) continue;
    log::warning("user {} may not read {}: another certificate will take a restart",
                 current_user_name(), file);
    return watch_.watch({});
  }
  watch_.watch(files);
}

void LifeCycle::stop() {
  if (std::exchange(stopping_, true)) return;
  log::info("shutting down");
  manager_.stopping();
  runtime_.request_stop();
}

// STOPPING=1 would start systemd's TimeoutStopSec, which is for ends that come at once.
void LifeCycle::drain() {
  const MonoTime now = runtime_.main_loop().tick().mono;
  if (!drain_.draining() && !stopping_) {
    drain_.begin(now, seconds(plan_.config.drain_deadline));
    runtime_.drain(drain_.left(now));
  }
  log::info("draining: nobody new is let in; {}, {}", in_words(runtime_.live()),
            until(drain_.left(now)));
}

Expected<void> LifeCycle::reload() {
  manager_.reloading();
  auto done = reload_configuration();
  if (!done) log::error("nothing is reloaded: {}", done.error().message);
  manager_.ready(status_);
  return done;
}

Expected<void> LifeCycle::reload_configuration() {
  if (stopping_) return failure("the server is about to end");
  auto again = plan_again(plan_, origin_);
  if (!again) return unexpected(std::move(again.error()));
  const bool another_certificate = again->plan.certificates() != plan_.certificates();
  plan_ = std::move(again->plan);
  runtime_.renew(plan_);
  log::set_level(plan_.config.logging.level);
  watch_certificate();
  for (const std::string& warning : plan_.config.warnings) log::warning("{}", warning);
  need_restart_.assign(again->need_restart.begin(), again->need_restart.end());
  for (const std::string& option : need_restart_) {
    log::warning("--{} has changed, which takes a restart: it stays as it was", option);
  }
  log::info("reloaded: users, secrets, limits and peer rules are those of the configuration{}",
            another_certificate ? ", and the certificate is another one" : "");
  return {};
}

Expected<void> LifeCycle::renew_certificate() {
  if (!plan_.certificates()) {
    log::info("there is no certificate to renew");
    return failure("there is no certificate to renew");
  }
  Renewal renewal = with_new_certificates(plan_);
  for (const std::string& reason : renewal.failures) {
    log::error("the certificate stays the one before: {}", reason);
  }
  const auto before = plan_.certificates();
  if (renewal.plan.certificates()->is_same_certificate(*before)) {
    if (renewal.failures.empty()) log::info("the certificate is the same as before");
  } else {
    plan_ = std::move(renewal.plan);
    runtime_.renew(plan_);
    tell_new_certificates(*before);
  }
  if (renewal.failures.empty()) return {};
  return failure(fmt::format("{}", fmt::join(renewal.failures, "; ")));
}

void LifeCycle::tell_new_certificates(const net::TlsContext& before) {
  const auto& certificates = plan_.certificates()->certificates();
  for (std::size_t i = 0; i < certificates.size(); ++i) {
    if (certificates[i].is_same(before.certificates()[i])) continue;
    log::info("the certificate {} is another one, good for {} days",
              plan_.config.certificate_files[i],
              (certificates[i].expires - runtime_.main_loop().tick().wall).count() / 86400);
  }
  if (plan_.tls && !certificate_matches(plan_)) {
    log::warning("the certificate is not for {}: turns: URLs are left out", public_host(plan_));
  }
}

void LifeCycle::on_pulse(const signaling::Health& health) {
  if (health.stuck.empty()) manager_.alive(runtime_.main_loop().tick().mono);
  if (drain_.draining() && !stopping_) judge_drain();
}

void LifeCycle::judge_drain() {
  const Live live = runtime_.live();
  switch (drain_.judge(runtime_.main_loop().tick().mono, live)) {
    case Drain::Verdict::kGoOn:
      break;
    case Drain::Verdict::kEmpty:
      log::info("drained: nobody is left");
      return stop();
    case Drain::Verdict::kLate:
      log::info("the time to drain is over: {}", in_words(live));
      return stop();
  }
  std::string status = "draining: " + in_words(live);
  if (status == status_) return;
  manager_.status(status);
  status_ = std::move(status);
}

}  // namespace turnpike::server
