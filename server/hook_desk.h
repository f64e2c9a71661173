// HookDesk: one worker's side of the authorisation service (--auth-hook). It answers the relay's
// questions from the cache; where the service must be asked first, it keeps the request and has it
// answered as soon as the answer is there, on any transport. A client that sends its request again
// in the meantime is not asked about twice.
//
// Who has a valid nonce can still invent usernames: questions are paced by source prefix. Kept are
// one request of a path, kMaxKept in all, and none that is longer than kMaxRequest; what cannot be
// kept is dropped on datagrams, whose clients try again, and answered with 500 on connections.
// Owned by a Worker; worker thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/counters.h"
#include "server/hook_cache.h"
#include "turn/throttle.h"
#include "turn/user_directory.h"

namespace turnpike::server {

// Asks the service; HookCache::settle() follows unless it answers false. Any thread.
struct HookQuestion {
  std::string username;
  std::string body;  // of the HTTP request
};
using HookAsker = std::function<bool(HookQuestion)>;

class HookDesk final : public turn::UserDirectory {
 public:
  static constexpr std::size_t kMaxKept = 1024;
  static constexpr std::size_t kMaxRequest = 2048;
  static constexpr seconds kKeepTime{60};  // far longer than any answer takes

  struct Pace {
    std::uint32_t per_second = 50;  // of one source prefix
    std::uint32_t burst = 200;
  };
  struct Wiring {
    std::uint32_t worker = 0;
    HookCache& cache;  // outlives the desk
    HookAsker ask;
    std::string realm;
    Pace pace;
  };
  explicit HookDesk(Wiring wiring);

  Finding find(const Question& question, Tick now) override;

  struct Kept {
    turn::Path path;
    std::vector<std::uint8_t> message;
    MonoTime since;
  };
  // The requests that wait for this user, to be brought to the relay again.
  std::vector<Kept> take(std::string_view username);
  std::size_t kept() const { return paths_.size(); }

 private:
  struct PathHash {
    std::size_t operator()(const turn::Path& path) const { return hash_value(path); }
  };
  HookCache::View ask(const Question& question, const HookCache::View& seen, Tick now);
  bool keep(const Question& question, MonoTime now);
  void drop_forgotten(MonoTime now);

  const Wiring wiring_;
  turn::Throttle throttle_;
  std::unordered_map<std::string, std::vector<Kept>> waiting_;  // by username
  std::unordered_set<turn::Path, PathHash> paths_;              // of all of them
};

}  // namespace turnpike::server
