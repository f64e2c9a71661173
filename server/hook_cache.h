// HookCache: what the authorisation service has said of users, and about whom it is being asked
// now. Shared by all workers and the client of the service, behind a mutex that is taken for a
// request that is to be authenticated, never for a packet that is relayed.
//
//   absent -> asking -> known or unknown, fresh for a while -> asking again -> ...
//                   \-> failed, for a second; a known user is good for longer then (stale)
//
// Known and unknown users have lists of their own, each with a maximum, and the oldest makes room:
// so invented usernames push nobody out. Any thread.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/time.h"
#include "server/hook_protocol.h"

namespace turnpike::server {

class HookCache {
 public:
  struct Limits {
    seconds known{300};   // how long an answer is good; the service may shorten it
    seconds unknown{10};  // the same for users who are not
    seconds stale{600};   // how much longer a known user is good while the service fails
    seconds failed{1};    // until the service is asked again about the same user
    std::size_t max_known = 65536;
    std::size_t max_unknown = 16384;
    std::size_t max_lookups = 1024;  // under way
  };
  explicit HookCache(const Limits& limits) : limits_(limits) {}

  struct View {
    enum class Status : std::uint8_t { kAbsent, kKnown, kUnknown, kPending, kFailed };
    Status status = Status::kAbsent;
    HookUser user;     // of kKnown
    bool ask = false;  // the caller must see to it that settle() comes
  };
  enum class MayAsk : bool { kNo, kYes };
  // kNo: kAbsent, or a stale user with `ask`, means that the service would have to be asked; call
  // again with kYes to do so. kPending: settle() will name this worker.
  View look(std::string_view username, std::uint32_t worker, MonoTime now, MayAsk may_ask);

  // The service has answered, or has not. Answers the workers that wait for it.
  std::vector<std::uint32_t> settle(std::string_view username, const HookAnswer& answer,
                                    MonoTime now);

  struct Sizes {
    std::size_t known = 0;
    std::size_t unknown = 0;
    std::size_t lookups = 0;
  };
  Sizes sizes() const;

 private:
  using Order = std::list<const std::string*>;  // oldest first
  struct Entry {
    enum class Last : std::uint8_t { kNothing, kKnown, kUnknown };
    Last last = Last::kNothing;
    HookUser user;
    MonoTime fresh_until;
    MonoTime stale_until;
    MonoTime failed_until;
    bool failing = false;
    bool asking = false;
    std::vector<std::uint32_t> waiting;  // workers
    Order::iterator place;               // unless kNothing
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return hash_bytes(as_bytes(text)); }
  };
  using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;

  std::optional<View> judge(Entry& entry, std::uint32_t worker, MonoTime now) const;
  void unlist(Entry& entry);
  void list(Entries::iterator entry);
  void forget(Entries::iterator entry);

  const Limits limits_;
  mutable std::mutex mutex_;
  Entries entries_;
  Order known_;
  Order unknown_;
  std::size_t lookups_ = 0;
};

}  // namespace turnpike::server
