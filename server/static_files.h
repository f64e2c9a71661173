// StaticFiles: reads files below a folder of the operator's, for the HTTP side: that of --static,
// or of --acme-webroot, where only small files are found and no symbolic links. Nothing outside the
// folder is ever opened: the kernel resolves every path beneath the folder's descriptor, so that no
// "..", no absolute path and no symbolic link leads out. Reading happens on libuv's pool of
// threads; answers arrive on the loop's thread, in any order. Owned by the hub loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "net/loop.h"
#include "signaling/outlet.h"

namespace turnpike::server {

class StaticFiles {
 public:
  static constexpr std::uint64_t kMaxFileSize = 64u << 20;
  // A challenge is some 90 bytes (RFC 8555 section 8.1).
  static constexpr std::uint64_t kMaxChallengeSize = 4096;
  static constexpr std::size_t kMaxListed = 4096;  // names in a listing
  // find_unreadable() looks no further.
  static constexpr std::size_t kMaxLookedAt = 1024;  // files and folders
  static constexpr std::size_t kMaxDepth = 16;       // folders below each other

  using Done = std::function<void(const signaling::FileAnswer& answer)>;

  // Opens the folder, once: it stays the same one if its name is given to another.
  static Expected<std::unique_ptr<StaticFiles>> open(
      const std::string& folder, signaling::Folder kind = signaling::Folder::kStatic);
  ~StaticFiles();
  StaticFiles(const StaticFiles&) = delete;
  StaticFiles& operator=(const StaticFiles&) = delete;

  // `path` is relative and clean; "" is the folder itself. A folder answers its index.html or, when
  // there is none, a listing without dot files. `done` is called once, later; the loop must live
  // until then.
  void read(net::Loop& loop, std::string_view path, Done done) const;

  // The same, here and now, on the calling thread.
  signaling::FileAnswer read_now(const std::string& path) const;

  // What the process may not read, as the user that it is now: pages there would answer 404, and
  // nobody would know why. Links and dot files are left out.
  struct Unreadable {
    std::string first;      // relative; "" is the folder itself
    std::size_t count = 0;  // altogether
  };
  std::optional<Unreadable> find_unreadable() const;

 private:
  struct Job;
  StaticFiles(int folder, signaling::Folder kind);

  // Shared with the reads under way, which may outlive this object.
  struct Folder;
  std::shared_ptr<Folder> folder_;
};

}  // namespace turnpike::server
