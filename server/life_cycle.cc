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
  if (!plan_.tls) return watch_.watch("", "");
  const std::string& certificate = plan_.config.certificate_file;
  const std::string& key = plan_.config.key_file;
  for (const std::string& file : {certificate, key}) {
    if (::access(file.c_str(), R_OK) == 0) continue;
    log::warning("user {} may not read {}: another certificate will take a restart",
                 current_user_name(), file);
    return watch_.watch("", "");
  }
  watch_.watch(certificate, key);
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
  const bool another_certificate = again->plan.tls != plan_.tls;
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
  if (!plan_.tls) {
    log::info("there is no certificate to renew");
    return failure("there is no certificate to renew");
  }
  auto renewed = with_new_certificate(plan_);
  if (!renewed) {
    log::error("the certificate stays the one before: {}", renewed.error().message);
    return unexpected(std::move(renewed.error()));
  }
  if (renewed->tls->is_same_certificate(*plan_.tls)) {
    log::info("the certificate is the same as before");
    return {};
  }
  plan_ = std::move(*renewed);
  runtime_.renew(plan_);
  log::info("the certificate is another one, good for {} days",
            (plan_.tls->expires() - runtime_.main_loop().tick().wall).count() / 86400);
  if (!certificate_matches(plan_)) {
    log::warning("the certificate is not for {}: turns: URLs are left out", public_host(plan_));
  }
  return {};
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
