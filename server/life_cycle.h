// LifeCycle: what operators ask of a server that runs, by signals: to take another configuration or
// certificate, to drain and then end, to end. Tells the service manager. A configuration is checked
// as a whole before any of it is applied. Main loop's thread; the runtime outlives it.
#pragma once

#include <string>
#include <vector>

#include "base/expected.h"
#include "server/certificate_watch.h"
#include "server/drain.h"
#include "server/plan.h"
#include "server/reload.h"
#include "server/runtime.h"
#include "server/service_manager.h"
#include "signaling/health.h"

namespace turnpike::server {

class LifeCycle {
 public:
  LifeCycle(Runtime& runtime, const Plan& plan, const Origin& origin, ServiceManager& manager);

  // Everything ends at once (SIGTERM, SIGINT).
  void stop();
  // Nobody new is let in; the end comes with the last one's, or at the deadline (SIGUSR1).
  void drain();
  // The configuration is read again (SIGHUP). The Error says why all stays as it was.
  Expected<void> reload();
  // Only the certificates are (SIGUSR2, or their files have changed). The Error says which of them
  // stay as they were, and why.
  Expected<void> renew_certificate();
  // Options that changed at the last reload and take a restart.
  const std::vector<std::string>& need_restart() const { return need_restart_; }
  bool draining() const { return drain_.draining(); }
  const Plan& plan() const { return plan_; }
  // Each second, with what /healthz would answer.
  void on_pulse(const signaling::Health& health);

 private:
  void judge_drain();
  Expected<void> reload_configuration();
  void watch_certificate();
  void tell_new_certificates(const net::TlsContext& before);

  Runtime& runtime_;
  const Origin& origin_;
  ServiceManager& manager_;
  Plan plan_;  // that runs
  std::vector<std::string> need_restart_;
  CertificateWatch watch_;
  Drain drain_;
  bool stopping_ = false;
  std::string status_ = "serving";  // as last told
};

}  // namespace turnpike::server
