// The checklist of one data stream with one component (RFC 8445 section 6.1.2): the candidates of
// both sides, the pairs made of them, and in which order they are checked. Knows no messages and no
// network; the Agent does. Pairs are referred to by index; they are never removed, but fail.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ice/candidate.h"
#include "stun/message.h"

namespace turnpike::ice {

inline constexpr std::size_t kMaxLocalCandidates = 32;
inline constexpr std::size_t kMaxRemoteCandidates = 64;
inline constexpr std::size_t kMaxPairs = 200;

struct LocalCandidate {
  Candidate candidate;
  Base base = 0;
};

enum class PairState : std::uint8_t { kFrozen, kWaiting, kInProgress, kSucceeded, kFailed };

struct Pair {
  std::size_t local = 0;   // index of the candidate that stands for its base
  std::size_t remote = 0;  // index
  std::uint64_t priority = 0;
  PairState state = PairState::kFrozen;
  bool nominated = false;         // by us, or by the other side, after the check succeeded
  bool nominate_at_once = false;  // the other side named it before our own check succeeded
};

class Checklist {
 public:
  enum class Side : std::uint8_t { kControlling, kControlled };

  explicit Checklist(Side side) : side_(side) {}
  void set_side(Side side);  // after a role conflict: priorities are computed anew

  // Makes the pairs that the candidate brings. False: the table is full, or it is known already.
  bool add_local(const LocalCandidate& local);
  bool add_remote(const Candidate& remote);
  // What has failed is worth another try: the other side may only now know where we are, and so
  // open its NAT.
  void retry_failed();

  const std::vector<LocalCandidate>& locals() const { return locals_; }
  const std::vector<Candidate>& remotes() const { return remotes_; }
  const std::vector<Pair>& pairs() const { return pairs_; }
  Pair& pair(std::size_t index) { return pairs_[index]; }
  Base base_of(const Pair& pair) const { return locals_[pair.local].base; }
  const Address& remote_of(const Pair& pair) const { return remotes_[pair.remote].address; }
  std::optional<std::size_t> find(Base base, const Address& remote) const;

  // A check that answers one of the other side (section 7.3.1.4): before the ordinary ones.
  void trigger(std::size_t index);
  // The pair to check next: triggered ones first, then waiting, then frozen ones by priority.
  std::optional<std::size_t> next();
  // Section 7.2.5.3.3: what has the foundation of a pair that succeeded is worth trying.
  void succeeded(std::size_t index);

  std::size_t unfinished() const;  // frozen, waiting or in progress
  std::optional<std::size_t> best_succeeded() const;
  // Whether a pair of higher priority may still succeed.
  bool may_improve_on(std::size_t index) const;

 private:
  void make_pair(std::size_t local, std::size_t remote);
  std::uint64_t priority(std::size_t local, std::size_t remote) const;
  bool same_foundation(const Pair& a, const Pair& b) const;

  Side side_;
  std::vector<LocalCandidate> locals_;
  std::vector<Candidate> remotes_;
  std::vector<Pair> pairs_;
  std::deque<std::size_t> triggered_;
};

}  // namespace turnpike::ice
