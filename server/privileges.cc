#include "server/privileges.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__)
#define TURNPIKE_HAS_LEAK_SANITIZER 1
#elif defined(__has_feature)
#define TURNPIKE_HAS_LEAK_SANITIZER __has_feature(address_sanitizer)
#else
#define TURNPIKE_HAS_LEAK_SANITIZER 0
#endif

namespace turnpike::server {
namespace {

// Below this a busy relay runs out: every allocation takes a descriptor.
constexpr rlim_t kComfortableFiles = 16384;

std::string contents(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A process without these files runs on a kernel without user namespaces.
bool exists_here(const SystemUser& user) {
  const std::string uids = contents("/proc/self/uid_map");
  const std::string gids = contents("/proc/self/gid_map");
  return (uids.empty() || id_map_contains(uids, user.uid)) &&
         (gids.empty() || id_map_contains(gids, user.gid));
}

Expected<void> failed(std::string_view step, const SystemUser& user) {
  return failure(fmt::format(
      "cannot give up root ({} for user {}: {}): start as that user, or allow CAP_SETUID and "
      "CAP_SETGID",
      step, user.name, std::strerror(errno)));
}

Expected<void> become(const SystemUser& user) {
  log::give_file_to(user.uid, user.gid);
  if (::setgroups(0, nullptr) != 0) return failed("setgroups", user);
  if (::setresgid(user.gid, user.gid, user.gid) != 0) return failed("setresgid", user);
  if (::setresuid(user.uid, user.uid, user.uid) != 0) return failed("setresuid", user);
  // Believe it only after trying to go back.
  if (::setuid(0) == 0 || ::seteuid(0) == 0 || ::setgid(0) == 0 || ::getuid() != user.uid ||
      ::geteuid() != user.uid || ::getegid() != user.gid) {
    return failure(fmt::format(
        "root could be regained after becoming {}: this kernel or its security modules do not let "
        "the server run safely as root; start it as that user",
        user.name));
  }
  return {};
}

}  // namespace

std::optional<SystemUser> find_user(const char* name) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return SystemUser{name, found->pw_uid, found->pw_gid};
}

std::string current_user_name() {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  const uid_t uid = ::geteuid();
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::to_string(uid);
  }
  return entry.pw_name;
}

namespace {

std::optional<gid_t> find_group(const char* name) {
  group entry{};
  group* found = nullptr;
  std::vector<char> buffer(65536);
  if (::getgrnam_r(name, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return found->gr_gid;
}

// Who an ordinary user is, stays: only root may choose.
Expected<void> stay(const Config& config) {
  const std::string now = current_user_name();
  if (config.proc_user.empty() || config.proc_user == now) return {};
  return failure(fmt::format("--proc-user {}: only root can become somebody, and this is {}",
                             config.proc_user, now));
}

Expected<SystemUser> wished_user(const Config& config) {
  std::optional<SystemUser> user;
  if (!config.proc_user.empty()) {
    user = find_user(config.proc_user.c_str());
    if (!user) return failure(fmt::format("--proc-user {}: no such user", config.proc_user));
  } else {
    user = find_user(kSystemUserName);
    if (!user) user = find_user("nobody");
  }
  if (user && user->uid == 0) {
    return failure(fmt::format("--proc-user {}: expected another user than root", user->name));
  }
  if (!user) {
    return failure(fmt::format(
        "started as root, and there is no user {} to continue as: create one (useradd --system "
        "--no-create-home {})",
        kSystemUserName, kSystemUserName));
  }
  if (config.proc_group.empty()) return *user;
  const auto gid = find_group(config.proc_group.c_str());
  if (!gid) return failure(fmt::format("--proc-group {}: no such group", config.proc_group));
  user->gid = *gid;
  return *user;
}

}  // namespace

Expected<void> drop_privileges(const Plan& plan) {
  if (::geteuid() != 0) return stay(plan.config);
  auto user = wished_user(plan.config);
  if (!user) return unexpected(std::move(user.error()));
  if (!exists_here(*user)) {
    log::info("root of a user namespace that knows no user {}: staying", user->name);
    return {};
  }
  if (auto became = become(*user); !became) return became;
  // Changing users resets it.
  forbid_core_dumps();
  log::info("continuing as user {}", user->name);
  return {};
}

bool id_map_contains(std::string_view map, unsigned long id) {
  std::istringstream lines{std::string(map)};
  unsigned long inside = 0;
  unsigned long outside = 0;
  unsigned long length = 0;
  while (lines >> inside >> outside >> length) {
    if (id >= inside && id - inside < length) return true;
  }
  return false;
}

std::optional<std::string> prepare_process() {
  ::umask(077);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= kComfortableFiles) return std::nullopt;
  return fmt::format(
      "only {} open files are allowed, and every relayed client takes one: raise the hard limit "
      "(LimitNOFILE= in a systemd unit, ulimit -Hn in a shell)",
      limit.rlim_cur);
}

void forbid_core_dumps() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
#if TURNPIKE_HAS_LEAK_SANITIZER
  // LeakSanitizer looks at the process through ptrace when it ends.
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
#else
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

}  // namespace turnpike::server
