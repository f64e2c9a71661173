#include "server/static_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "net/descriptor.h"

namespace turnpike::server {
namespace {

using signaling::FileAnswer;

using Kind = signaling::Folder;
using net::Descriptor;

// O_NONBLOCK: opening a FIFO that somebody put there must not hang a thread.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

// Without openat2 (before Linux 5.6, or refused by a sandbox): one component at a time, and no
// symbolic link at all.
Descriptor open_step_by_step(int folder, std::string_view path) {
  Descriptor at(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  while (at && !path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string name(path.substr(0, slash));
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") return Descriptor(-1);
    at = Descriptor(::openat(at.get(), name.c_str(), kReadFlags | O_NOFOLLOW));
  }
  return at;
}

Descriptor open_beneath(int folder, const std::string& path, Kind kind = Kind::kStatic) {
  open_how how{};
  how.flags = kReadFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (kind == Kind::kChallenges) how.resolve |= RESOLVE_NO_SYMLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  const long fd = ::syscall(SYS_openat2, folder, name, &how, sizeof how);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return open_step_by_step(folder, path);
  return Descriptor(static_cast<int>(fd));
}

FileAnswer answer(FileAnswer::Kind kind) {
  FileAnswer made;
  made.kind = kind;
  return made;
}

FileAnswer read_file(int fd, const struct stat& status, Kind kind = Kind::kStatic) {
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t most =
      kind == Kind::kChallenges ? StaticFiles::kMaxChallengeSize : StaticFiles::kMaxFileSize;
  if (size > most) return answer(FileAnswer::Kind::kTooLarge);
  FileAnswer file = answer(FileAnswer::Kind::kFile);
  file.modified = WallTime{seconds(status.st_mtim.tv_sec)};
  file.content.resize(size);
  std::size_t at = 0;
  while (at < size) {
    const ssize_t got = ::read(fd, file.content.data() + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return answer(FileAnswer::Kind::kNotFound);
    if (got == 0) break;  // it shrank meanwhile
    at += static_cast<std::size_t>(got);
  }
  file.content.resize(at);
  return file;
}

bool is_folder(int folder, const dirent& entry) {
  if (entry.d_type == DT_DIR) return true;
  if (entry.d_type != DT_UNKNOWN && entry.d_type != DT_LNK) return false;
  struct stat status {};
  return ::fstatat(folder, entry.d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

FileAnswer list_folder(Descriptor folder) {
  DIR* stream = ::fdopendir(folder.get());
  if (stream == nullptr) return answer(FileAnswer::Kind::kNotFound);
  folder.take();  // closedir() closes it
  FileAnswer listed = answer(FileAnswer::Kind::kDirectory);
  while (listed.listing.size() < StaticFiles::kMaxListed) {
    const dirent* entry = ::readdir(stream);
    if (entry == nullptr) break;
    if (entry->d_name[0] == '.') continue;
    std::string name = entry->d_name;
    if (is_folder(::dirfd(stream), *entry)) name += '/';
    listed.listing.push_back(std::move(name));
  }
  ::closedir(stream);
  std::sort(listed.listing.begin(), listed.listing.end());
  return listed;
}

FileAnswer read_beneath(int folder, const std::string& path, Kind kind) {
  Descriptor found = open_beneath(folder, path, kind);
  struct stat status {};
  if (!found || ::fstat(found.get(), &status) != 0) return answer(FileAnswer::Kind::kNotFound);
  if (S_ISREG(status.st_mode)) return read_file(found.get(), status, kind);
  if (!S_ISDIR(status.st_mode) || kind == Kind::kChallenges) {
    return answer(FileAnswer::Kind::kNotFound);
  }

  const bool bare = path.empty() || path.back() == '/';
  const Descriptor index = open_beneath(folder, path + (bare ? "index.html" : "/index.html"));
  struct stat index_status {};
  if (index && ::fstat(index.get(), &index_status) == 0 && S_ISREG(index_status.st_mode)) {
    FileAnswer page = read_file(index.get(), index_status);
    page.is_index = true;
    return page;
  }
  return list_folder(std::move(found));
}

struct Look {
  std::size_t seen = 0;
  StaticFiles::Unreadable closed;
};

// Opens what a request for it would open.
void look_at(int folder, const std::string& path, std::size_t depth, Look& look) {
  ++look.seen;
  Descriptor found = open_beneath(folder, path);
  if (!found) {
    if (errno == EACCES && look.closed.count++ == 0) look.closed.first = path;
    return;
  }
  struct stat status {};
  if (::fstat(found.get(), &status) != 0 || !S_ISDIR(status.st_mode)) return;
  DIR* stream = depth > 0 ? ::fdopendir(found.get()) : nullptr;
  if (stream == nullptr) return;
  found.take();
  while (look.seen < StaticFiles::kMaxLookedAt) {
    const dirent* entry = ::readdir(stream);
    if (entry == nullptr) break;
    const bool opens = entry->d_type == DT_REG || entry->d_type == DT_DIR;
    if (entry->d_name[0] == '.' || !opens) continue;
    look_at(folder, path.empty() ? entry->d_name : path + '/' + entry->d_name, depth - 1, look);
  }
  ::closedir(stream);
}

}  // namespace

struct StaticFiles::Folder {
  Folder(int fd, Kind its_kind) : descriptor(fd), kind(its_kind) {}

  const Descriptor descriptor;
  const Kind kind;
};

struct StaticFiles::Job {
  uv_work_t work{};
  std::shared_ptr<Folder> folder;
  std::string path;
  Done done;
  FileAnswer answer;
};

Expected<std::unique_ptr<StaticFiles>> StaticFiles::open(const std::string& folder, Kind kind) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    const char* option = kind == Kind::kStatic ? "--static" : "--acme-webroot";
    return failure("cannot serve files from " + folder + " (" + option +
                   "): " + std::strerror(errno));
  }
  return std::unique_ptr<StaticFiles>(new StaticFiles(fd, kind));
}

StaticFiles::StaticFiles(int folder, Kind kind) : folder_(std::make_shared<Folder>(folder, kind)) {}
StaticFiles::~StaticFiles() = default;

void StaticFiles::read(net::Loop& loop, std::string_view path, Done done) const {
  auto* job = new Job{{}, folder_, std::string(path), std::move(done), {}};
  job->work.data = job;
  const auto work = [](uv_work_t* request) {
    auto& mine = *static_cast<Job*>(request->data);
    mine.answer = read_beneath(mine.folder->descriptor.get(), mine.path, mine.folder->kind);
  };
  const auto finished = [](uv_work_t* request, int) {
    const std::unique_ptr<Job> mine(static_cast<Job*>(request->data));
    mine->done(mine->answer);
  };
  CHECK(uv_queue_work(loop.raw(), &job->work, work, finished) == 0);
}

std::optional<StaticFiles::Unreadable> StaticFiles::find_unreadable() const {
  Look look;
  if (folder_->kind == Kind::kChallenges) {
    // Whatever else is in a webroot is none of our business.
    for (const char* path : {"", ".well-known", ".well-known/acme-challenge"}) {
      look_at(folder_->descriptor.get(), path, 0, look);
    }
  } else {
    look_at(folder_->descriptor.get(), "", kMaxDepth, look);
  }
  if (look.closed.count == 0) return std::nullopt;
  return std::move(look.closed);
}

FileAnswer StaticFiles::read_now(const std::string& path) const {
  return read_beneath(folder_->descriptor.get(), path, folder_->kind);
}

}  // namespace turnpike::server
