#include "tools/call/call.h"

#include <algorithm>
#include <utility>

namespace turnpike::call {
namespace {

using ice::CandidateType;

// The later side's, as far as both have come there.
std::optional<double> later_of(const std::vector<std::unique_ptr<Endpoint>>& endpoints,
                               std::uint64_t Endpoint::Milestones::*what) {
  std::uint64_t began = UINT64_MAX, reached = 0;
  for (const auto& endpoint : endpoints) {
    const Endpoint::Milestones& milestones = endpoint->milestones();
    if (milestones.*what == 0) return std::nullopt;
    began = std::min(began, milestones.began);
    reached = std::max(reached, milestones.*what);
  }
  if (endpoints.empty()) return std::nullopt;
  return static_cast<double>(reached - began) / 1e6;
}

std::string path_of(const Endpoint& endpoint) {
  const auto selected = endpoint.selected();
  if (!selected) return "";
  std::string path(ice::name_of(selected->local.type));
  return path.append(", ").append(ice::name_of(selected->remote.type));
}

}  // namespace

Call::Call(const Services& services, Owner& owner, Place place)
    : services_(services),
      owner_(owner),
      place_(std::move(place)),
      alarm_(services.loop, [this] { on_alarm(); }) {
  const std::uint32_t sides = place_.guest ? 1 : 2;
  for (std::uint32_t side = 0; side < sides; ++side) {
    Endpoint::Place seat;
    seat.side = side;
    seat.room = place_.room;
    seat.name = "turnpike-call";
    if (place_.guest) seat.manners = Endpoint::Manners::kGuestOffers;
    for (std::size_t i = 0; i < kKinds; ++i) {
      // A guest hears what it said itself, when its partner is an echo.
      const std::uint32_t from = place_.guest ? side : 1 - side;
      seat.sends[i] = flow_of(place_.flow, side, static_cast<Kind>(i));
      seat.expects[i] = flow_of(place_.flow, from, static_cast<Kind>(i));
    }
    endpoints_.emplace_back(new Endpoint(services, *this, seat));
  }
}

Call::~Call() = default;

void Call::start(const Desk::Pass& pass) {
  if (state_ != State::kSettingUp) return;
  pass_ = pass;
  deadline_ = Loop::now().mono + services_.options.time_limit;
  alarm_.set(deadline_);
  endpoints_[0]->start(pass_);
}

// One after the other, so that it is known who was there first.
void Call::on_joined(std::uint32_t side) {
  if (side == 0 && !place_.guest) endpoints_[1]->start(pass_);
}

void Call::on_connected(std::uint32_t) {
  const bool all = std::all_of(endpoints_.begin(), endpoints_.end(), [](const auto& endpoint) {
    return endpoint->milestones().connected != 0;
  });
  if (!all || state_ != State::kSettingUp) return;
  services_.loop.later([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired() || state_ != State::kSettingUp) return;
    for (const auto& endpoint : endpoints_) endpoint->start_media();
  });
}

void Call::on_first_media(std::uint32_t) {
  const bool all = std::all_of(endpoints_.begin(), endpoints_.end(), [](const auto& endpoint) {
    return endpoint->milestones().media != 0;
  });
  if (all && state_ == State::kSettingUp) begin_talking();
}

void Call::on_arrival(std::uint32_t, Kind, std::uint64_t delay_ns) {
  owner_.on_call_arrival(delay_ns);
}

void Call::on_failed(std::uint32_t, const std::string& cause) { fail(cause); }

// Strangers may hang up when they like.
void Call::on_partner_left(std::uint32_t) {
  if (place_.guest && state_ == State::kTalking) return stop_talking();
  if (place_.guest && state_ == State::kDraining) return;
  fail("the partner left");
}

void Call::begin_talking() {
  state_ = State::kTalking;
  const MonoTime now = Loop::now().mono;
  if (place_.talk_end == MonoTime::never()) place_.talk_end = now + services_.options.duration;
  deadline_ = place_.redials == 0 ? place_.talk_end
                                  : std::max(place_.talk_end, now + Duration(kShortestTalk));
  place_.in_a_row = 0;
  alarm_.set(std::min(deadline_, Loop::now().mono + kWatch));
}

void Call::on_alarm() {
  const MonoTime now = Loop::now().mono;
  switch (state_) {
    case State::kSettingUp: {
      std::string waits = endpoints_[0]->waits_for();
      if (endpoints_.size() > 1 && endpoints_[0]->milestones().joined != 0 &&
          endpoints_[1]->milestones().media == 0) {
        waits = endpoints_[1]->waits_for();
      }
      return fail("set-up took too long: " + waits);
    }
    case State::kTalking:
      if (now >= deadline_) return stop_talking();
      if (is_silent(kSilence)) return fail("media stopped");
      return alarm_.set(std::min(deadline_, now + kWatch));
    case State::kDraining:
      return judge();
    case State::kReleasing:
      if (std::all_of(endpoints_.begin(), endpoints_.end(),
                      [](const auto& endpoint) { return endpoint->is_released(); })) {
        state_ = State::kOver;
        return owner_.on_call_over();
      }
      return alarm_.set(now + milliseconds{20});
    case State::kOver:
      break;
  }
}

bool Call::is_silent(std::uint64_t limit) const {
  const std::uint64_t now = Loop::now_ns();
  for (const auto& endpoint : endpoints_) {
    std::uint64_t last = endpoint->milestones().media;
    for (std::size_t i = 0; i < kKinds; ++i) {
      last = std::max(last, endpoint->received(static_cast<Kind>(i)).last_at);
    }
    for (const media::InboundStatistics& stream : endpoint->inbound()) {
      last = std::max(last, static_cast<std::uint64_t>(stream.last_arrival.since_start.count()));
    }
    if (now > last && now - last > limit) return true;
  }
  return false;
}

void Call::stop_talking() {
  for (const auto& endpoint : endpoints_) endpoint->stop_media();
  if (is_silent(kShortSilence)) return fail("media stopped");
  state_ = State::kDraining;
  alarm_.set(Loop::now().mono + kDrain);
}

void Call::judge() {
  keep_records();
  for (const StreamRecord& stream : kept_.streams) {
    // What strangers send is not ours to judge.
    if (place_.guest) continue;
    if (stream.received.corrupt > 0) return condemn("media was damaged");
    if (stream.received.misrouted > 0) return condemn("media of another call came");
  }
  release();
}

void Call::hang_up() {
  if (state_ == State::kTalking) return stop_talking();
  if (state_ == State::kSettingUp) condemn("interrupted");
}

void Call::fail(const std::string& cause) {
  if (state_ == State::kReleasing || state_ == State::kOver) return;
  condemn(cause);
  was_cut_ = true;
}

void Call::condemn(const std::string& cause) {
  if (state_ == State::kReleasing || state_ == State::kOver) return;
  keep_records();
  kept_.failed = true;
  kept_.cause = cause;
  release();
}

// Not at once: it may be an endpoint that calls.
void Call::release() {
  state_ = State::kReleasing;
  alarm_.set(Loop::now().mono + milliseconds{20});
  services_.loop.later([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    for (const auto& endpoint : endpoints_) endpoint->release();
  });
}

CallRecord Call::record() const { return kept_; }

StreamRecord Call::stream_to(std::uint32_t side, Kind kind) const {
  const Endpoint& sender = *endpoints_[place_.guest ? side : 1 - side];
  return {.to = side,
          .kind = kind,
          .sent = sender.sent(kind),
          .received = endpoints_[side]->received(kind)};
}

void Call::keep_records() {
  kept_ = {};
  kept_.number = place_.number;
  kept_.redials = place_.redials;
  kept_.phases = {.joined = later_of(endpoints_, &Endpoint::Milestones::joined),
                  .selected = later_of(endpoints_, &Endpoint::Milestones::selected),
                  .connected = later_of(endpoints_, &Endpoint::Milestones::connected),
                  .media = later_of(endpoints_, &Endpoint::Milestones::media)};
  kept_.path = path_of(*endpoints_[0]);
  kept_.profile = endpoints_[0]->profile();
  for (std::uint32_t side = 0; side < endpoints_.size(); ++side) {
    const Endpoint& endpoint = *endpoints_[side];
    kept_.late_ms = std::max(kept_.late_ms, static_cast<double>(endpoint.late_ns()) / 1e6);
    for (std::size_t i = 0; i < kKinds; ++i) {
      const StreamRecord stream = stream_to(side, static_cast<Kind>(i));
      // Of strangers it counts only when they return what we sent.
      if (stream.sent == 0 || (place_.guest && stream.received.packets == 0)) continue;
      kept_.streams.push_back(stream);
    }
    if (!place_.guest) continue;
    for (const media::InboundStatistics& stream : endpoint.inbound()) {
      kept_.foreign.push_back(
          {.packets = stream.packets,
           .lost = static_cast<std::uint64_t>(std::max<std::int64_t>(0, stream.lost)),
           .jitter_ms = std::chrono::duration<double, std::milli>(stream.jitter_time).count()});
    }
  }
  if (const auto trip = endpoints_[0]->round_trip()) {
    kept_.round_trip_ms = std::chrono::duration<double, std::milli>(*trip).count();
  }
}

std::uint64_t Call::sent() const {
  std::uint64_t sum = 0;
  for (const auto& endpoint : endpoints_) {
    for (std::size_t i = 0; i < kKinds; ++i) sum += endpoint->sent(static_cast<Kind>(i));
  }
  return sum;
}

std::uint64_t Call::take_recent_late_ns() {
  std::uint64_t late = 0;
  for (const auto& endpoint : endpoints_) late = std::max(late, endpoint->take_recent_late_ns());
  return late;
}

std::uint64_t Call::received() const {
  std::uint64_t sum = 0;
  for (const auto& endpoint : endpoints_) {
    for (std::size_t i = 0; i < kKinds; ++i)
      sum += endpoint->received(static_cast<Kind>(i)).packets;
  }
  return sum;
}

}  // namespace turnpike::call
