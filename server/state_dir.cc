#include "server/state_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/text.h"

namespace turnpike::server {
namespace {

constexpr const char* kSystemStateDir = "/var/lib/turnpike";
constexpr std::size_t kSecretBytes = 32;      // 256 bits
constexpr std::size_t kShortestSecret = 32;   // characters; what is shorter was not made by us
constexpr std::size_t kLongestSecret = 1024;  // characters

std::string reason() { return std::strerror(errno); }

std::string getenv_or_empty(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Expected<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure(fmt::format("cannot write {}: {}", path, reason()));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return failure(fmt::format("cannot write {}: {}", path, reason()));
  return {};
}

// Makes every missing folder of an absolute or relative path; those made belong to `heir`.
Expected<void> make_folders(const std::string& path, const std::optional<SystemUser>& heir) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    const bool last = slash == std::string::npos;
    if (::mkdir(part.c_str(), 0700) == 0) {
      // What leads to the folder of somebody else must be passable for them.
      if (!last && heir && ::chmod(part.c_str(), 0755) != 0) {
        return failure(fmt::format("cannot create {}: {}", part, reason()));
      }
      if (last && heir && ::lchown(part.c_str(), heir->uid, heir->gid) != 0) {
        return failure(fmt::format("cannot give {} to user {}: {}", part, heir->name, reason()));
      }
    } else if (errno != EEXIST) {
      return failure(fmt::format(
          "cannot create the state directory {}: {}; pass --state-dir with a folder that can be "
          "written",
          path, reason()));
    }
    if (last) return {};
  }
}

Expected<void> check_folder(const std::string& path, const struct stat& status) {
  if (!S_ISDIR(status.st_mode)) {
    return failure(fmt::format("{} is not a folder: pass --state-dir with another path", path));
  }
  // Whoever may replace the secret knows it. The sticky bit keeps others from doing so.
  if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0) {
    return failure(fmt::format(
        "every user of this machine can write into the state directory {}: chmod 700 it", path));
  }
  return {};
}

// A secret that a stranger has put there is known to the stranger.
Expected<void> check_secret(const std::string& path, const struct stat& status,
                            const std::optional<SystemUser>& heir) {
  if (!S_ISREG(status.st_mode)) return failure(fmt::format("{} is not a file: remove it", path));
  if ((status.st_mode & 077) != 0) {
    return failure(fmt::format("others may read the secret {} (mode {:04o}): chmod 600 it", path,
                               status.st_mode & 07777));
  }
  const bool ours =
      status.st_uid == 0 || status.st_uid == ::geteuid() || (heir && status.st_uid == heir->uid);
  if (!ours) {
    return failure(
        fmt::format("the secret {} belongs to another user (id {}): remove it or chown it", path,
                    status.st_uid));
  }
  return {};
}

bool is_whole(std::string_view secret) {
  if (secret.size() < kShortestSecret || secret.size() > kLongestSecret) return false;
  for (const char c : secret) {
    if (c <= 0x20 || c >= 0x7F) return false;
  }
  return true;
}

}  // namespace

Caller current_caller() {
  Caller caller;
  caller.uid = ::geteuid();
  caller.system_user = find_user(kSystemUserName);
  caller.home = getenv_or_empty("HOME");
  caller.xdg_state_home = getenv_or_empty("XDG_STATE_HOME");
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  if (::getpwuid_r(caller.uid, &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    caller.user_name = found->pw_name;
    if (caller.home.empty()) caller.home = found->pw_dir;
  }
  return caller;
}

Expected<std::string> choose_state_dir(const std::string& wished, const Caller& caller) {
  if (!wished.empty()) {
    const std::size_t end = wished.find_last_not_of('/');
    return end == std::string::npos ? "/" : wished.substr(0, end + 1);
  }
  if (caller.uid == 0 || caller.user_name == kSystemUserName) return std::string(kSystemStateDir);
  // The XDG base directory rules: a relative path is invalid and ignored.
  if (caller.xdg_state_home.starts_with('/')) return caller.xdg_state_home + "/turnpike";
  if (caller.home.starts_with('/')) return caller.home + "/.local/state/turnpike";
  return failure(
      "there is no home directory to keep the generated secret in: pass --state-dir DIR");
}

Expected<StateDir> StateDir::open(const std::string& path, const Caller& caller) {
  const auto heir = caller.uid == 0 ? caller.system_user : std::nullopt;
  if (auto made = make_folders(path, heir); !made) return unexpected(std::move(made.error()));
  net::Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    return failure(
        fmt::format("cannot open the state directory {}: {}; pass --state-dir with "
                    "another folder",
                    path, reason()));
  }
  StateDir state(path, std::move(folder), heir);
  struct stat status {};
  if (::fstat(state.folder_.get(), &status) != 0) {
    return failure(fmt::format("cannot look at the state directory {}: {}", path, reason()));
  }
  if (auto checked = check_folder(path, status); !checked) {
    return unexpected(std::move(checked.error()));
  }
  return state;
}

Expected<std::optional<StateDir>> StateDir::open_existing(const std::string& path) {
  net::Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder && errno == ENOENT) return std::optional<StateDir>();
  if (!folder) {
    return failure(fmt::format(
        "cannot open the state directory {}: {}; ask as the user that the server runs as, or as "
        "root (sudo)",
        path, reason()));
  }
  struct stat status {};
  const bool known = ::fstat(folder.get(), &status) == 0;
  StateDir state(path, std::move(folder), SystemUser{"", status.st_uid, status.st_gid});
  if (!known) {
    return failure(fmt::format("cannot look at the state directory {}: {}", path, reason()));
  }
  if (auto checked = check_folder(path, status); !checked) {
    return unexpected(std::move(checked.error()));
  }
  return std::optional(std::move(state));
}

Expected<std::string> StateDir::secret(const std::string& name, Random& random) const {
  auto known = read(name);
  if (!known) return unexpected(std::move(known.error()));
  if (*known) return std::move(**known);
  if (auto created = create(name, random.token(kSecretBytes), random); !created) {
    return unexpected(std::move(created.error()));
  }
  // Ours, or that of an instance that was quicker.
  known = read(name);
  if (!known) return unexpected(std::move(known.error()));
  if (!*known) return failure(fmt::format("{} vanished while it was read", path_of(name)));
  return std::move(**known);
}

Expected<std::optional<std::string>> StateDir::read(const std::string& name) const {
  const net::Descriptor file(
      ::openat(folder_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) return std::optional<std::string>();
    return failure(fmt::format("cannot read {}: {}", path_of(name), reason()));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return failure(fmt::format("cannot read {}: {}", path_of(name), reason()));
  }
  if (auto checked = check_secret(path_of(name), status, heir_); !checked) {
    return unexpected(std::move(checked.error()));
  }
  std::array<char, kLongestSecret + 2> text;
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return failure(fmt::format("cannot read {}: {}", path_of(name), reason()));
  std::string secret(trim({text.data(), static_cast<std::size_t>(size)}));
  wipe(MutableBytes(reinterpret_cast<std::uint8_t*>(text.data()), text.size()));
  if (!is_whole(secret)) {
    return failure(fmt::format(
        "{} is damaged (expected one line of 32 to 1024 characters): remove it to have a new one "
        "made, which ends the credentials that are in use",
        path_of(name)));
  }
  return std::optional(std::move(secret));
}

Expected<void> StateDir::create(const std::string& name, const std::string& text,
                                Random& random) const {
  const std::string draft = fmt::format(".{}.{}", name, random.token(9));
  const net::Descriptor file(::openat(folder_.get(), draft.c_str(),
                                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) {
    return failure(fmt::format(
        "cannot write into the state directory {}: {}; pass --state-dir with a folder that can be "
        "written",
        path_, reason()));
  }
  auto written = write_all(file.get(), text + "\n", path_of(draft));
  if (written && heir_ && ::fchown(file.get(), heir_->uid, heir_->gid) != 0) {
    written = failure(
        fmt::format("cannot give {} to user {}: {}", path_of(draft), heir_->name, reason()));
  }
  if (written) written = publish(draft, name);
  ::unlinkat(folder_.get(), draft.c_str(), 0);
  return written;
}

// A hard link appears whole and refuses to replace; where the file system has none, rename without
// replacement does the same.
Expected<void> StateDir::publish(const std::string& draft, const std::string& name) const {
  const int folder = folder_.get();
  bool there = ::linkat(folder, draft.c_str(), folder, name.c_str(), 0) == 0 || errno == EEXIST;
  if (!there) {
    constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE of <linux/fs.h>
    there =
        ::syscall(SYS_renameat2, folder, draft.c_str(), folder, name.c_str(), kNoReplace) == 0 ||
        errno == EEXIST;
  }
  if (!there) return failure(fmt::format("cannot create {}: {}", path_of(name), reason()));
  ::fsync(folder);
  return {};
}

Expected<GeneratedSecrets> generated_secrets(const Config& config, const Caller& caller,
                                             Random& random) {
  GeneratedSecrets generated;
  if (!config.shared_secrets.empty() && !config.api_keys.empty()) return generated;
  const auto path = choose_state_dir(config.state_dir, caller);
  if (!path) return unexpected(path.error());
  const auto state = StateDir::open(*path, caller);
  if (!state) return unexpected(state.error());
  if (config.shared_secrets.empty()) {
    auto secret = state->secret("secret", random);
    if (!secret) return unexpected(std::move(secret.error()));
    generated.shared_secret = std::move(*secret);
  }
  if (config.api_keys.empty()) {
    auto key = state->secret("api-key", random);
    if (!key) return unexpected(std::move(key.error()));
    generated.api_key = std::move(*key);
    generated.api_key_file = state->path_of("api-key");
  }
  return generated;
}

Expected<GeneratedSecrets> existing_secrets(const Config& config, const Caller& caller) {
  GeneratedSecrets existing;
  if (!config.shared_secrets.empty() && !config.api_keys.empty()) return existing;
  const auto path = choose_state_dir(config.state_dir, caller);
  if (!path) return unexpected(path.error());
  const auto state = StateDir::open_existing(*path);
  // Whoever gave the secret may ask without access to what else the server keeps.
  if (!state && !config.shared_secrets.empty()) return existing;
  if (!state) return unexpected(state.error());
  if (!*state) return existing;
  if (config.shared_secrets.empty()) {
    auto secret = (*state)->read("secret");
    if (!secret) return unexpected(std::move(secret.error()));
    existing.shared_secret = secret->value_or("");
  }
  if (config.api_keys.empty()) {
    auto key = (*state)->read("api-key");
    if (!key) return unexpected(std::move(key.error()));
    if (*key) existing.api_key_file = (*state)->path_of("api-key");
    existing.api_key = key->value_or("");
  }
  return existing;
}

}  // namespace turnpike::server
