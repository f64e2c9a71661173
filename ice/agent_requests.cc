// Binding requests of both sides: how ours are made, and how theirs are judged and answered
// (RFC 8445 section 7).
#include <algorithm>
#include <array>

#include "ice/agent.h"
#include "stun/integrity.h"

namespace turnpike::ice {
namespace {

using stun::Attribute;

// USERNAME of two fragments of 256, and the fixed attributes.
using Room = std::array<std::uint8_t, 704>;

std::optional<std::uint64_t> u64_of(const stun::MessageView& message, Attribute attribute) {
  const auto value = message.value(attribute);
  if (!value || value->size() != 8) return std::nullopt;
  return Reader(*value).u64();
}

}  // namespace

bool Agent::on_request(Tick now, Base base, const Address& from, const stun::MessageView& message,
                       Outputs& outputs) {
  const auto username = message.text(Attribute::kUsername);
  if (!username || !username->starts_with(ours_.ufrag + ":")) return false;
  if (!stun::verify_message_integrity(message, as_bytes(ours_.password))) {
    // Somebody else's session, or a forgery: no answer either way.
    return false;
  }
  if (theirs_ && username->substr(ours_.ufrag.size() + 1) != theirs_->ufrag) return false;
  const auto priority = message.u32(Attribute::kPriority);
  if (!priority) {
    refuse(base, from, message, stun::ErrorCode::kBadRequest, outputs);
    return true;
  }
  if (!settle_roles(now, base, from, message, outputs)) return true;
  answer(base, from, message, outputs);
  const PeerCheck check{base, from, *priority, message.has(Attribute::kUseCandidate)};
  if (theirs_) {
    take_check(now, check, outputs);
  } else if (early_checks_.size() < kMaxPeerChecks) {
    early_checks_.push_back(check);
  }
  return true;
}

// Section 7.3.1.1: when both sides have one role, the greater tie-breaker keeps it. False when the
// request was refused for it.
bool Agent::settle_roles(Tick now, Base base, const Address& from, const stun::MessageView& message,
                         Outputs& outputs) {
  const auto controlling = u64_of(message, Attribute::kIceControlling);
  const auto controlled = u64_of(message, Attribute::kIceControlled);
  if (role_ == Role::kControlling && controlling) {
    if (tie_breaker_ >= *controlling) {
      refuse(base, from, message, stun::ErrorCode::kRoleConflict, outputs);
      return false;
    }
    switch_role(now, Role::kControlled);
  } else if (role_ == Role::kControlled && controlled && settings_.mode == Mode::kFull) {
    if (tie_breaker_ < *controlled) {
      refuse(base, from, message, stun::ErrorCode::kRoleConflict, outputs);
      return false;
    }
    switch_role(now, Role::kControlling);
  }
  return true;
}

void Agent::answer(Base base, const Address& to, const stun::MessageView& request,
                   Outputs& outputs) {
  Room room;
  auto builder = stun::Builder::response(room, stun::Class::kSuccess, request);
  builder.xor_address(Attribute::kXorMappedAddress, to)
      .message_integrity(as_bytes(ours_.password))
      .fingerprint();
  outputs.send(base, to, builder.finish());
}

void Agent::refuse(Base base, const Address& to, const stun::MessageView& request,
                   stun::ErrorCode code, Outputs& outputs) {
  Room room;
  auto builder = stun::Builder::response(room, stun::Class::kError, request);
  builder.error(code).message_integrity(as_bytes(ours_.password)).fingerprint();
  outputs.send(base, to, builder.finish());
}

// A check of the other side that we answered: what it teaches (sections 7.3.1.3 to 7.3.1.5).
void Agent::take_check(Tick now, const PeerCheck& check, Outputs& outputs) {
  const auto& remotes = checklist_.remotes();
  const bool known = std::any_of(remotes.begin(), remotes.end(), [&](const Candidate& remote) {
    return remote.address == check.from;
  });
  if (!known) {
    Candidate reflexive;
    reflexive.type = CandidateType::kPeerReflexive;
    reflexive.address = check.from;
    reflexive.priority = check.priority;
    reflexive.foundation = "p" + std::to_string(remotes.size());
    checklist_.add_remote(reflexive);
    announce_pairs(outputs);
  }
  const auto index = checklist_.find(check.base, check.from);
  if (!index) return;  // the tables are full
  Pair& pair = checklist_.pair(*index);
  if (settings_.mode == Mode::kLite) {
    // A lite agent checks nothing: what the other side nominated works.
    checklist_.succeeded(*index);
    last_consent_ = now.mono;
    if (check.nominated) nominated_by_peer(now, *index, outputs);
    return;
  }
  const bool nominated = check.nominated && role_ == Role::kControlled;
  if (pair.state == PairState::kSucceeded) {
    if (nominated) nominated_by_peer(now, *index, outputs);
    return;
  }
  pair.nominate_at_once |= nominated;
  check_back(now, *index, outputs);
}

// Section 7.3.1.4: their packet may just have opened the way for ours.
void Agent::check_back(Tick now, std::size_t index, Outputs& outputs) {
  if (checklist_.pairs()[index].state == PairState::kInProgress) {
    for (const Check& check : checks_) {
      if (check.pair == index) outputs.send(check.base, check.to, check.message);
    }
    return;
  }
  checklist_.trigger(index);
  if (selected_pair_) {
    start_check(now, index, Purpose::kConnectivity, outputs);
  } else {
    start_checking(now, outputs);
  }
}

void Agent::start_check(Tick now, std::size_t index, Purpose purpose, Outputs& outputs) {
  if (checks_.size() >= kMaxChecks) return;
  Pair& pair = checklist_.pair(index);
  if (purpose == Purpose::kConnectivity) pair.state = PairState::kInProgress;
  Check check{.id = {},
              .purpose = purpose,
              .pair = index,
              .base = checklist_.base_of(pair),
              .to = checklist_.remote_of(pair),
              .role = role_,
              .message = {},
              .interval = kFirstRepetition,
              .next = now.mono + kFirstRepetition,
              .end = now.mono + kCheckLifetime};
  // A check of consent is one packet (RFC 7675 section 5.1), and its answer counts however late.
  if (purpose == Purpose::kConsent) check.next = check.end;
  random_.fill(check.id);
  check.message = compose(check);
  outputs.send(check.base, check.to, check.message);
  checks_.push_back(std::move(check));
}

std::vector<std::uint8_t> Agent::compose(const Check& check) const {
  Room room;
  stun::Builder builder(room, stun::Class::kRequest, stun::Method::kBinding, check.id);
  const LocalCandidate& local = checklist_.locals()[checklist_.pairs()[check.pair].local];
  const std::uint32_t preference = local.candidate.priority >> 8 & 0xFFFF;
  builder.text(Attribute::kUsername, theirs_->ufrag + ":" + ours_.ufrag)
      .u32(Attribute::kPriority,
           priority_of(CandidateType::kPeerReflexive, static_cast<std::uint16_t>(preference)));
  if (check.role == Role::kControlling) {
    builder.u64(Attribute::kIceControlling, tie_breaker_);
    if (check.purpose == Purpose::kNomination) builder.flag(Attribute::kUseCandidate);
  } else {
    builder.u64(Attribute::kIceControlled, tie_breaker_);
  }
  builder.message_integrity(as_bytes(theirs_->password)).fingerprint();
  const ByteView bytes = builder.finish();
  return {bytes.begin(), bytes.end()};
}

}  // namespace turnpike::ice
