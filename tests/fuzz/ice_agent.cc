// Any bytes as a story with an ice::Agent: candidates as their texts, checks of a peer that knows
// the password or does not, answers to our own checks, garbage, restarts and time. Nobody makes it
// keep more than its tables hold, send without end or ask to be woken without end; and when nothing
// comes any more it is no longer connected.
#include "ice/agent.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "ice/server_url.h"
#include "stun/builder.h"

namespace turnpike::ice {
namespace {

using stun::Attribute;
using stun::Class;
using stun::MessageView;

constexpr std::size_t kMaxSteps = 300;
constexpr std::size_t kMaxKept = 64;  // requests of the agent that can still be answered
constexpr std::size_t kMaxDatagram = 1500;
constexpr std::size_t kMaxSentAtOnce = 512;  // in one call
constexpr std::size_t kMaxWakes = 100'000;   // in one story

Agent::Settings settings_of(std::uint8_t mood) {
  Agent::Settings settings;
  settings.role = mood & 1 ? Agent::Role::kControlled : Agent::Role::kControlling;
  settings.mode = mood & 2 ? Agent::Mode::kLite : Agent::Mode::kFull;
  return settings;
}

class Story final : private Agent::Outputs {
 public:
  explicit Story(ByteView script) : script_(script), agent_(settings_of(script_.u8()), random_) {}

  void play() {
    for (std::size_t i = 0; i < kMaxSteps && script_.ok() && script_.remaining() > 0; ++i) {
      step();
      check();
    }
    pass(minutes(2));
    CHECK(agent_.state() != Agent::State::kConnected);
    CHECK(agent_.state() != Agent::State::kDisconnected);
  }

 private:
  struct Request {
    Base base;
    Address to;
    std::vector<std::uint8_t> bytes;
  };

  void step() {
    sent_at_once_ = 0;
    switch (script_.u8() % 10) {
      case 0:
        return arrive(pick_address(), pick_bytes());
      case 1:
        return their_check();
      case 2:
      case 3:
        return their_answer();
      case 4:
        return their_candidate();
      case 5:
        return our_candidate();
      case 6:
        return agent_.set_remote(now_, theirs_,
                                 script_.u8() & 1 ? Agent::Mode::kLite : Agent::Mode::kFull, *this);
      case 7:
        return pass(milliseconds(20) * script_.u8());
      case 8:
        agent_.send(pick_bytes(), *this);
        return;
      default:
        if (script_.u8() % 4 == 0) agent_.restart(now_, *this);
    }
  }

  void check() const {
    CHECK(agent_.checklist().locals().size() <= kMaxLocalCandidates);
    CHECK(agent_.checklist().remotes().size() <= kMaxRemoteCandidates);
    CHECK(agent_.checklist().pairs().size() <= kMaxPairs);
  }

  Address pick_address() {
    const std::uint8_t which = script_.u8();
    if (which & 0x80) return {IpAddress::loopback(Family::kIPv6), which};
    return {IpAddress::v4(192, 0, 2, which & 0x0f), static_cast<std::uint16_t>(5000 + which % 3)};
  }
  ByteView pick_bytes() {
    const std::size_t size = script_.u8();
    return script_.bytes(std::min(size, script_.remaining()));
  }
  // Of its own, so that a view that was kept is found.
  void arrive(const Address& from, ByteView bytes) {
    const std::vector<std::uint8_t> packet(bytes.begin(), bytes.end());
    agent_.on_packet(now_, script_.u8() % 3, from, packet, *this);
  }

  void their_check() {
    const std::uint8_t how = script_.u8();
    stun::TransactionId id;
    random_.fill(id);
    std::array<std::uint8_t, 512> room;
    stun::Builder builder(room, Class::kRequest, stun::Method::kBinding, id);
    const std::string& ufrag = agent_.credentials().ufrag;
    builder.text(Attribute::kUsername, how & 1 ? ufrag + ":" + theirs_.ufrag : ufrag);
    if ((how & 2) == 0) builder.u32(Attribute::kPriority, script_.u32());
    if ((how & 4) == 0) {
      const std::uint64_t tie_breaker = how & 8 ? UINT64_MAX : how & 16 ? 0 : script_.u64();
      builder.u64(how & 32 ? Attribute::kIceControlling : Attribute::kIceControlled, tie_breaker);
    }
    if (how & 64) builder.flag(Attribute::kUseCandidate);
    if ((how & 128) == 0) builder.message_integrity(as_bytes(agent_.credentials().password));
    arrive(pick_address(), builder.fingerprint().finish());
  }

  void their_answer() {
    if (requests_.empty()) return;
    const Request request = requests_[script_.u8() % requests_.size()];
    const auto view = MessageView::parse(request.bytes);
    CHECK(view);
    const std::uint8_t how = script_.u8();
    std::array<std::uint8_t, 512> room;
    const bool refused = (how & 1) != 0;
    auto builder = stun::Builder::response(room, refused ? Class::kError : Class::kSuccess, *view);
    if (refused) builder.error(pick_error(how));
    if (!refused && (how & 2) == 0) {
      builder.xor_address(Attribute::kXorMappedAddress, pick_address());
    }
    if ((how & 4) == 0) builder.message_integrity(as_bytes(theirs_.password));
    const ByteView answer = builder.fingerprint().finish();
    const Address from = how & 8 ? pick_address() : request.to;
    const std::vector<std::uint8_t> packet(answer.begin(), answer.end());
    agent_.on_packet(now_, request.base, from, packet, *this);
  }
  static stun::ErrorCode pick_error(std::uint8_t how) {
    if (how & 16) return stun::ErrorCode::kUnauthorized;
    return how & 32 ? stun::ErrorCode::kBadRequest : stun::ErrorCode::kRoleConflict;
  }

  // What is a candidate is written again and read as the same.
  void their_candidate() {
    const std::string_view text = as_text(pick_bytes());
    (void)parse_server_url(text);
    const auto parsed = parse_candidate(text);
    if (!parsed) return;
    if (!parsed->udp || !parsed->host_name.empty()) return;
    const auto again = parse_candidate(to_sdp(parsed->candidate));
    CHECK(again && again->candidate == parsed->candidate);
    agent_.add_remote(now_, parsed->candidate, *this);
  }

  void our_candidate() {
    Candidate made;
    made.type = static_cast<CandidateType>(script_.u8() % 4);
    made.address = pick_address();
    made.priority = priority_of(made.type, script_.u16());
    made.foundation = std::string(1, static_cast<char>('a' + script_.u8() % 26));
    agent_.add_local(now_, made, script_.u8() % 3, *this);
  }

  void pass(Duration time) {
    const MonoTime end = now_.mono + time;
    while (agent_.next_deadline() <= end) {
      CHECK(++wakes_ < kMaxWakes);
      sent_at_once_ = 0;
      now_.mono = std::max(now_.mono, agent_.next_deadline());
      agent_.on_time(now_, *this);
    }
    now_.mono = end;
  }

  void send(Base base, const Address& to, ByteView bytes) override {
    CHECK(bytes.size() <= kMaxDatagram);
    CHECK(++sent_at_once_ <= kMaxSentAtOnce);
    const auto message = MessageView::parse(bytes);
    if (!message || message->message_class() != Class::kRequest) return;
    if (requests_.size() == kMaxKept) requests_.erase(requests_.begin());
    requests_.push_back({base, to, {bytes.begin(), bytes.end()}});
  }
  void on_pair(Base, const Address&) override {}
  void on_selected(const Agent::Selected&) override {}
  void on_state(Agent::State) override {}

  Reader script_;
  SeededRandom random_{1};
  Tick now_{{seconds(1000)}, {seconds(1'700'000'000)}};
  const IceCredentials theirs_{"peer", "0123456789012345678901"};
  std::vector<Request> requests_;
  std::size_t sent_at_once_ = 0, wakes_ = 0;
  Agent agent_;
};

}  // namespace
}  // namespace turnpike::ice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) turnpike::ice::Story({data, size}).play();
  return 0;
}
