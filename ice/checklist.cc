#include "ice/checklist.h"

#include <algorithm>

namespace turnpike::ice {
namespace {

bool may_still_succeed(const Pair& pair) {
  return pair.state != PairState::kSucceeded && pair.state != PairState::kFailed;
}

}  // namespace

void Checklist::set_side(Side side) {
  side_ = side;
  for (Pair& pair : pairs_) pair.priority = priority(pair.local, pair.remote);
}

bool Checklist::add_local(const LocalCandidate& local) {
  const bool known = std::any_of(locals_.begin(), locals_.end(), [&](const LocalCandidate& other) {
    return other.base == local.base && other.candidate.address == local.candidate.address;
  });
  if (known || locals_.size() >= kMaxLocalCandidates) return false;
  locals_.push_back(local);
  // A reflexive candidate sends from its base, whose pairs are there already: it would only check
  // the same way twice (section 6.1.2.4).
  const bool has_base =
      std::any_of(locals_.begin(), locals_.end() - 1,
                  [&](const LocalCandidate& other) { return other.base == local.base; });
  if (has_base) return true;
  for (std::size_t i = 0; i < remotes_.size(); ++i) make_pair(locals_.size() - 1, i);
  return true;
}

bool Checklist::add_remote(const Candidate& remote) {
  const auto known = std::find_if(remotes_.begin(), remotes_.end(), [&](const Candidate& other) {
    return other.address == remote.address;
  });
  if (known != remotes_.end()) {
    // What a check revealed before is now signalled: the signalled facts are the better ones.
    if (known->type == CandidateType::kPeerReflexive) *known = remote;
    return false;
  }
  if (remotes_.size() >= kMaxRemoteCandidates) return false;
  remotes_.push_back(remote);
  for (std::size_t i = 0; i < locals_.size(); ++i) {
    const bool stands_for_its_base =
        std::none_of(locals_.begin(), locals_.begin() + static_cast<std::ptrdiff_t>(i),
                     [&](const LocalCandidate& other) { return other.base == locals_[i].base; });
    if (stands_for_its_base) make_pair(i, remotes_.size() - 1);
  }
  return true;
}

void Checklist::retry_failed() {
  for (Pair& pair : pairs_) {
    if (pair.state == PairState::kFailed) pair.state = PairState::kWaiting;
  }
}

void Checklist::make_pair(std::size_t local, std::size_t remote) {
  const Candidate& ours = locals_[local].candidate;
  const Candidate& theirs = remotes_[remote];
  const bool fit =
      ours.address.family() == theirs.address.family() && ours.component == theirs.component;
  if (!fit || pairs_.size() >= kMaxPairs) return;
  Pair pair{.local = local, .remote = remote, .priority = priority(local, remote)};
  const bool one_waits = std::any_of(pairs_.begin(), pairs_.end(), [&](const Pair& other) {
    const bool under_way =
        other.state == PairState::kWaiting || other.state == PairState::kInProgress;
    return under_way && same_foundation(other, pair);
  });
  pair.state = one_waits ? PairState::kFrozen : PairState::kWaiting;
  pairs_.push_back(pair);
}

std::uint64_t Checklist::priority(std::size_t local, std::size_t remote) const {
  const std::uint32_t ours = locals_[local].candidate.priority;
  const std::uint32_t theirs = remotes_[remote].priority;
  return side_ == Side::kControlling ? pair_priority(ours, theirs) : pair_priority(theirs, ours);
}

bool Checklist::same_foundation(const Pair& a, const Pair& b) const {
  return locals_[a.local].candidate.foundation == locals_[b.local].candidate.foundation &&
         remotes_[a.remote].foundation == remotes_[b.remote].foundation;
}

std::optional<std::size_t> Checklist::find(Base base, const Address& remote) const {
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (base_of(pairs_[i]) == base && remote_of(pairs_[i]) == remote) return i;
  }
  return std::nullopt;
}

void Checklist::trigger(std::size_t index) {
  if (std::find(triggered_.begin(), triggered_.end(), index) != triggered_.end()) return;
  pairs_[index].state = PairState::kWaiting;
  triggered_.push_back(index);
}

std::optional<std::size_t> Checklist::next() {
  while (!triggered_.empty()) {
    const std::size_t index = triggered_.front();
    triggered_.pop_front();
    if (pairs_[index].state == PairState::kWaiting) return index;
  }
  for (const PairState wanted : {PairState::kWaiting, PairState::kFrozen}) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (pairs_[i].state != wanted) continue;
      if (!best || pairs_[i].priority > pairs_[*best].priority) best = i;
    }
    if (best) return best;
  }
  return std::nullopt;
}

void Checklist::succeeded(std::size_t index) {
  pairs_[index].state = PairState::kSucceeded;
  for (Pair& other : pairs_) {
    if (other.state == PairState::kFrozen && same_foundation(other, pairs_[index])) {
      other.state = PairState::kWaiting;
    }
  }
}

std::size_t Checklist::unfinished() const {
  return static_cast<std::size_t>(std::count_if(pairs_.begin(), pairs_.end(), may_still_succeed));
}

std::optional<std::size_t> Checklist::best_succeeded() const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (pairs_[i].state != PairState::kSucceeded) continue;
    if (!best || pairs_[i].priority > pairs_[*best].priority) best = i;
  }
  return best;
}

bool Checklist::may_improve_on(std::size_t index) const {
  return std::any_of(pairs_.begin(), pairs_.end(), [&](const Pair& other) {
    return may_still_succeed(other) && other.priority > pairs_[index].priority;
  });
}

}  // namespace turnpike::ice
