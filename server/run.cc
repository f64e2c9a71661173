#include "server/run.h"

#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "server/privileges.h"
#include "server/runtime.h"

namespace turnpike::server {
namespace {

// What must not kill us while sockets are being bound, before the loop listens for signals.
void ignore_harmless_signals() {
  for (const int signal : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(signal, SIG_IGN);
}

using Watches = std::vector<std::unique_ptr<net::SignalWatch>>;

Watches watch_signals(Runtime& runtime) {
  Watches watches;
  const auto on = [&](int signal, std::function<void()> arrived) {
    watches.push_back(
        std::make_unique<net::SignalWatch>(runtime.main_loop(), signal, std::move(arrived)));
  };
  for (const int signal : {SIGTERM, SIGINT}) {
    on(signal, [&runtime] {
      log::info("shutting down");
      runtime.request_stop();
    });
  }
  on(SIGHUP, [] { log::info("SIGHUP: nothing is reloaded; restart to apply a configuration"); });
  on(SIGUSR1, [&runtime] { log::info("SIGUSR1: {}", runtime.summary()); });
  on(SIGUSR2, [] { log::info("SIGUSR2: certificates are read at start; restart to renew them"); });
  return watches;
}

// The one line that scripts wait for, bare and not through the log's queue.
void say_ready() {
  std::fputs("ready\n", stderr);
  std::fflush(stderr);
}

}  // namespace

int run(const Plan& plan) {
  ignore_harmless_signals();
  SystemRandom random;
  set_hash_seed(random.u64());

  auto runtime = Runtime::bind(plan);
  if (!runtime) {
    log::error("{}", runtime.error().message);
    return runtime.error().code;
  }
  if (auto dropped = drop_privileges(plan); !dropped) {
    log::error("{}", dropped.error().message);
    return kExitPrivileges;
  }
  {
    const Watches watches = watch_signals(**runtime);
    print_banner(plan, (*runtime)->bound(), (*runtime)->service(),
                 (*runtime)->main_loop().tick().wall);
    say_ready();
    (*runtime)->serve();
  }
  log::info("stopped: {}", (*runtime)->summary());
  return kExitOk;
}

}  // namespace turnpike::server
