// The agent's course: adding candidates, pacing checks, what answers mean, nomination and consent.
// Messages are made and judged in agent_requests.cc.
#include "ice/agent.h"

#include <algorithm>
#include <utility>

#include "stun/integrity.h"

namespace turnpike::ice {
namespace {

Checklist::Side side_of(Agent::Role role) {
  return role == Agent::Role::kControlling ? Checklist::Side::kControlling
                                           : Checklist::Side::kControlled;
}

}  // namespace

IceCredentials make_credentials(Random& random) {
  // base64url text of 6 and of 18 random bytes: 8 and 24 characters, but SDP's ice-char has no
  // "-" and "_".
  const auto token = [&](std::size_t bytes) {
    std::string text = random.token(bytes);
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    return text;
  };
  IceCredentials made;
  made.ufrag = token(6);
  made.password = token(18);
  return made;
}

Agent::Agent(Settings settings, Random& random)
    : settings_(settings),
      random_(random),
      role_(settings.mode == Mode::kLite ? Role::kControlled : settings.role),
      tie_breaker_(random.u64()),
      ours_(make_credentials(random)),
      checklist_(side_of(role_)) {}

std::optional<Agent::Selected> Agent::selected() const { return selected_; }

void Agent::add_local(Tick now, const Candidate& candidate, Base base, Outputs& outputs) {
  bases_.push_back({candidate, base});
  if (bases_.size() > kMaxLocalCandidates) bases_.pop_back();
  if (checklist_.add_local({candidate, base})) hope_anew(now);
  announce_pairs(outputs);
  start_checking(now, outputs);
}

void Agent::set_remote(Tick now, IceCredentials credentials, Mode mode, Outputs& outputs) {
  theirs_ = std::move(credentials);
  // Section 6.1.1: of a full and a lite agent the full one controls.
  if (mode == Mode::kLite && settings_.mode == Mode::kFull) switch_role(now, Role::kControlling);
  for (const PeerCheck& check : std::exchange(early_checks_, {})) {
    take_check(now, check, outputs);
  }
  start_checking(now, outputs);
}

void Agent::add_remote(Tick now, const Candidate& candidate, Outputs& outputs) {
  if (checklist_.add_remote(candidate)) hope_anew(now);
  // A check may have been here before signaling, and its pair selected: now it is known what it is.
  if (selected_pair_ && selected_) {
    selected_->remote = checklist_.remotes()[checklist_.pairs()[*selected_pair_].remote];
  }
  announce_pairs(outputs);
  start_checking(now, outputs);
}

void Agent::restart(Tick now, Outputs& outputs) {
  ours_ = make_credentials(random_);
  theirs_.reset();
  checklist_ = Checklist(side_of(role_));
  announced_pairs_ = 0;
  checks_.clear();
  early_checks_.clear();
  nominating_.reset();
  selected_pair_.reset();
  next_check_ = nominate_at_ = fail_at_ = next_consent_ = MonoTime::never();
  for (const LocalCandidate& local : bases_) checklist_.add_local(local);
  // Nobody confirms what is selected any more: without another pair it ends as without consent
  // (RFC 7675 section 5.1).
  if (selected_) fail_at_ = now.mono + kConsentLifetime;
  start_checking(now, outputs);
  if (!selected_) set_state(State::kNew, outputs);
}

void Agent::announce_pairs(Outputs& outputs) {
  for (; announced_pairs_ < checklist_.pairs().size(); ++announced_pairs_) {
    const Pair& pair = checklist_.pairs()[announced_pairs_];
    outputs.on_pair(checklist_.base_of(pair), checklist_.remote_of(pair));
  }
}

void Agent::hope_anew(Tick now) {
  if (selected_pair_) return;
  checklist_.retry_failed();
  if (fail_at_ != MonoTime::never()) fail_at_ = now.mono + settings_.time_limit;
}

// Whenever there is something to check and the clock of checks stands still.
void Agent::start_checking(Tick now, Outputs& outputs) {
  if (checklist_.pairs().empty() || !theirs_) return;
  if (state_ == State::kNew || (state_ == State::kFailed && checklist_.unfinished() > 0)) {
    set_state(State::kChecking, outputs);
  }
  if (fail_at_ == MonoTime::never() && !selected_pair_) {
    fail_at_ = now.mono + settings_.time_limit;
  }
  if (may_check() && next_check_ == MonoTime::never() && checklist_.unfinished() > 0) {
    next_check_ = now.mono;
  }
}

bool Agent::on_packet(Tick now, Base base, const Address& from, ByteView bytes, Outputs& outputs) {
  const auto message = stun::MessageView::parse(bytes);
  if (!message || message->method() != static_cast<std::uint16_t>(stun::Method::kBinding)) {
    return false;
  }
  switch (message->message_class()) {
    case stun::Class::kRequest:
      return on_request(now, base, from, *message, outputs);
    case stun::Class::kSuccess:
    case stun::Class::kError:
      return on_response(now, base, from, *message, outputs);
    case stun::Class::kIndication:
      return true;  // a keep-alive (section 11)
  }
  return false;
}

bool Agent::on_response(Tick now, Base base, const Address& from, const stun::MessageView& message,
                        Outputs& outputs) {
  const stun::TransactionId id = message.transaction_id();
  const auto found = std::find_if(checks_.begin(), checks_.end(),
                                  [&](const Check& check) { return check.id == id; });
  if (found == checks_.end() || !theirs_) return false;
  if (!stun::verify_message_integrity(message, as_bytes(theirs_->password))) return false;
  const Check check = std::move(*found);
  checks_.erase(found);
  if (message.message_class() == stun::Class::kError) {
    const auto error = message.error_code();
    if (error && error->code == static_cast<std::uint16_t>(stun::ErrorCode::kRoleConflict)) {
      on_role_conflict(now, check, outputs);
    } else {
      on_failure(now, check);
    }
    return true;
  }
  // Section 7.2.5.2.1: an answer has to come the way the request went.
  if (base != check.base || from != check.to) {
    on_failure(now, check);
  } else {
    on_success(now, check, outputs);
  }
  return true;
}

void Agent::on_success(Tick now, const Check& check, Outputs& outputs) {
  if (check.purpose == Purpose::kConsent) {
    last_consent_ = now.mono;
    if (state_ == State::kDisconnected) set_state(State::kConnected, outputs);
    return;
  }
  checklist_.succeeded(check.pair);
  start_checking(now, outputs);
  Pair& pair = checklist_.pair(check.pair);
  if (check.purpose == Purpose::kNomination) nominating_.reset();
  if (check.purpose == Purpose::kNomination && role_ == Role::kControlling) {
    pair.nominated = true;
    select(now, check.pair, outputs);
  } else if (role_ == Role::kControlled && pair.nominate_at_once) {
    nominated_by_peer(now, check.pair, outputs);
  } else if (role_ == Role::kControlling) {
    expect_nomination(now);
  }
}

void Agent::on_failure(Tick now, const Check& check) {
  if (check.purpose == Purpose::kConsent) return;  // consent_on_time() counts the silence
  Pair& pair = checklist_.pair(check.pair);
  if (check.purpose == Purpose::kNomination) {
    nominating_.reset();
    pair.state = PairState::kFailed;
    expect_nomination(now);
  } else if (pair.state == PairState::kInProgress) {
    pair.state = PairState::kFailed;
    if (role_ == Role::kControlling) expect_nomination(now);
  }
}

// Section 7.2.5.1: take the other role, and check again. Not when the role changed meanwhile.
void Agent::on_role_conflict(Tick now, const Check& check, Outputs& outputs) {
  if (check.role == role_) {
    switch_role(now, check.role == Role::kControlling ? Role::kControlled : Role::kControlling);
    tie_breaker_ = random_.u64();
  }
  if (check.purpose == Purpose::kNomination) nominating_.reset();
  if (check.purpose == Purpose::kConsent) return;
  checklist_.trigger(check.pair);
  start_checking(now, outputs);
}

void Agent::switch_role(Tick now, Role role) {
  role_ = role;
  checklist_.set_side(side_of(role));
  nominate_at_ = MonoTime::never();
  expect_nomination(now);
}

// A pair works. At once if no better one can, else after a while of patience.
void Agent::expect_nomination(Tick now) {
  const auto best = checklist_.best_succeeded();
  if (role_ != Role::kControlling || !best || nominating_ || selected_pair_) return;
  if (!checklist_.may_improve_on(*best)) {
    nominate_at_ = now.mono;
  } else if (nominate_at_ == MonoTime::never()) {
    nominate_at_ = now.mono + settings_.patience;
  }
}

void Agent::nominate(Tick now, Outputs& outputs) {
  nominate_at_ = MonoTime::never();
  const auto best = checklist_.best_succeeded();
  if (!best || nominating_ || selected_pair_) return;
  nominating_ = *best;
  start_check(now, *best, Purpose::kNomination, outputs);
}

// Of several the best counts (section 8.1.1). But browsers go over to another pair for reasons of
// their own, and name that one from then on.
void Agent::nominated_by_peer(Tick now, std::size_t index, Outputs& outputs) {
  Pair& pair = checklist_.pair(index);
  pair.nominated = true;
  if (selected_pair_ && *selected_pair_ != index) {
    const bool better = pair.priority > checklist_.pairs()[*selected_pair_].priority;
    if (!better && now.mono - last_nomination_ < kRenominatedAfter) return;
  }
  last_nomination_ = now.mono;
  if (selected_pair_ != index) select(now, index, outputs);
}

void Agent::select(Tick now, std::size_t index, Outputs& outputs) {
  selected_pair_ = index;
  const Pair& pair = checklist_.pairs()[index];
  selected_ = {checklist_.base_of(pair), checklist_.locals()[pair.local].candidate,
               checklist_.remotes()[pair.remote]};
  fail_at_ = MonoTime::never();
  last_consent_ = now.mono;
  next_consent_ = now.mono + kConsentInterval;
  outputs.on_selected(*selected_);
  set_state(State::kConnected, outputs);
}

void Agent::on_time(Tick now, Outputs& outputs) {
  check_on_time(now, outputs);
  pace_on_time(now, outputs);
  if (nominate_at_ <= now.mono) nominate(now, outputs);
  consent_on_time(now, outputs);
  if (fail_at_ <= now.mono) {
    fail_at_ = MonoTime::never();
    next_check_ = MonoTime::never();
    selected_.reset();
    set_state(State::kFailed, outputs);
  }
}

// Sends again what is due, and gives up what has been sent often enough.
void Agent::check_on_time(Tick now, Outputs& outputs) {
  std::vector<Check> given_up;
  for (std::size_t i = 0; i < checks_.size();) {
    Check& check = checks_[i];
    if (check.end <= now.mono) {
      given_up.push_back(std::move(check));
      checks_.erase(checks_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    if (check.next <= now.mono) {
      outputs.send(check.base, check.to, check.message);
      check.interval = std::min(check.interval * 2, kLongestInterval);
      check.next = std::min(now.mono + check.interval, check.end);
    }
    ++i;
  }
  for (const Check& check : given_up) on_failure(now, check);
}

// One new check every Ta. After a pair is selected no others are begun (section 8.1.2).
void Agent::pace_on_time(Tick now, Outputs& outputs) {
  if (next_check_ > now.mono) return;
  next_check_ = MonoTime::never();
  if (!may_check() || checks_.size() >= kMaxChecks) return;
  const auto next = selected_pair_ ? std::nullopt : checklist_.next();
  if (!next) return;
  start_check(now, *next, Purpose::kConnectivity, outputs);
  next_check_ = now.mono + settings_.pace;
}

void Agent::consent_on_time(Tick now, Outputs& outputs) {
  if (next_consent_ > now.mono || !selected_pair_) return;
  const Duration silence = now.mono - last_consent_;
  if (silence >= kConsentLifetime) {
    next_consent_ = MonoTime::never();
    selected_pair_.reset();
    selected_.reset();
    return set_state(State::kFailed, outputs);
  }
  if (silence >= kDisconnectedAfter) set_state(State::kDisconnected, outputs);
  // A lite agent asks nobody: the other side's checks show that it is there.
  if (settings_.mode == Mode::kFull) start_check(now, *selected_pair_, Purpose::kConsent, outputs);
  // Section 5.1: drawn anew each time, so that nobody's checks march in step.
  const Duration interval = silence > kConsentInterval ? kConsentHaste : kConsentInterval;
  next_consent_ = now.mono + interval * (80 + random_.below(41)) / 100;
}

void Agent::set_state(State state, Outputs& outputs) {
  if (state == state_) return;
  state_ = state;
  outputs.on_state(state);
}

MonoTime Agent::next_deadline() const {
  MonoTime next = std::min({next_check_, nominate_at_, fail_at_, next_consent_});
  for (const Check& check : checks_) next = std::min(next, check.next);
  return next;
}

bool Agent::send(ByteView data, Outputs& outputs) {
  if (!selected_) return false;
  outputs.send(selected_->base, selected_->remote.address, data);
  return true;
}

}  // namespace turnpike::ice
