#include "server/run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "net/descriptor.h"
#include "server/administration.h"
#include "server/life_cycle.h"
#include "server/privileges.h"
#include "server/runtime.h"
#include "server/service_manager.h"

namespace turnpike::server {
namespace {

// What must not kill us while sockets are being bound, before the loop listens for signals.
void ignore_harmless_signals() {
  for (const int signal : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(signal, SIG_IGN);
}

using Watches = std::vector<std::unique_ptr<net::SignalWatch>>;

Watches watch_signals(Runtime& runtime, LifeCycle& life) {
  Watches watches;
  const auto on = [&](int signal, std::function<void()> arrived) {
    watches.push_back(
        std::make_unique<net::SignalWatch>(runtime.main_loop(), signal, std::move(arrived)));
  };
  for (const int signal : {SIGTERM, SIGINT}) on(signal, [&life] { life.stop(); });
  on(SIGHUP, [&life] {
    log::reopen();
    (void)life.reload();
  });
  on(SIGUSR1, [&life] { life.drain(); });
  on(SIGUSR2, [&life] { (void)life.renew_certificate(); });
  return watches;
}

// As the user that the server is from now on, who may be another than the one who started it.
void warn_of_unreadable_files(std::string_view option, const std::string& folder,
                              const StaticFiles* files) {
  const auto closed = files == nullptr ? std::nullopt : files->find_unreadable();
  if (!closed) return;
  std::string path = folder;
  if (!closed->first.empty()) path.append(path.ends_with('/') ? "" : "/").append(closed->first);
  const std::string others =
      closed->count > 1 ? " and " + std::to_string(closed->count - 1) + " more" : "";
  log::warning(
      "--{}: user {} may not read {}{}, so browsers get 404 there. To let it: "
      "chmod -R a+rX '{}'",
      option, current_user_name(), path, others, folder);
}

// The one line that scripts wait for, bare and not through the log's queue.
void say_ready() {
  std::fputs("ready\n", stderr);
  std::fflush(stderr);
}

// Into the log, and where whoever starts the server looks, if that is another place.
int refuse(const Plan& plan, int code, const std::string& sentence) {
  log::error("{}", sentence);
  if (plan.config.logging.syslog || !plan.config.logging.file.empty()) {
    std::fprintf(stderr, "turnpike: %s\n", sentence.c_str());
  }
  return code;
}

// The file of --pidfile for as long as the server runs. As another user than root it may not be
// removed at the end; what stands in it is then the number of a process that is no more.
class PidFile {
 public:
  explicit PidFile(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    const net::Descriptor file(
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    const std::string text = std::to_string(::getpid()) + "\n";
    const bool written =
        file && ::fchmod(file.get(), 0644) == 0 &&
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (!written) log::warning("--pidfile {}: {}", path_, std::strerror(errno));
  }
  ~PidFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  std::string path_;
};

}  // namespace

int run(const Plan& plan, const Origin& origin) {
  ignore_harmless_signals();
  SystemRandom random;
  set_hash_seed(random.u64());

  auto runtime = Runtime::bind(plan);
  if (!runtime) return refuse(plan, runtime.error().code, runtime.error().message);
  auto admin_socket = open_admin_socket(plan.config);
  if (!admin_socket) {
    return refuse(plan, kExitCannotListen, "--admin-socket: " + admin_socket.error().message);
  }
  const PidFile pid_file(plan.config.pid_file);
  if (auto dropped = drop_privileges(plan); !dropped) {
    return refuse(plan, kExitPrivileges, dropped.error().message);
  }
  warn_of_unreadable_files("static", plan.config.static_dir, (*runtime)->files());
  warn_of_unreadable_files("acme-webroot", plan.config.acme_webroot, (*runtime)->challenges());
  {
    ServiceManager manager = ServiceManager::of_environment();
    LifeCycle life(**runtime, plan, origin, manager);
    const Watches watches = watch_signals(**runtime, life);
    std::unique_ptr<AdminPort> admin;
    if (*admin_socket) {
      admin = std::make_unique<AdminPort>((*runtime)->main_loop(), std::move(*admin_socket),
                                          admin_hooks(**runtime, life));
      admin->start();
    }
    print_banner(plan, (*runtime)->bound(), (*runtime)->service(),
                 (*runtime)->main_loop().tick().wall);
    say_ready();
    manager.ready("serving");
    (*runtime)->on_pulse([&life](const signaling::Health& health) { life.on_pulse(health); });
    (*runtime)->serve();
  }
  log::info("stopped: {}", (*runtime)->summary());
  return kExitOk;
}

}  // namespace turnpike::server
