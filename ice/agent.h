// ice::Agent: one side of an ICE session (RFC 8445, full or lite) for one data stream with one
// component, trickled (RFC 8838), with consent freshness (RFC 7675), as a state machine without
// sockets and clocks. Gathering is outside: whoever owns the agent opens sockets, asks servers for
// reflexive and relayed addresses, and adds what it found. Single thread.
//
//   add_local, set_remote, add_remote ... on_packet, on_time -> on_selected -> send
//
// The owner gives every STUN message that reaches a base to on_packet() (RFC 7983 tells them from
// media), and calls on_time() when next_deadline() has passed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "ice/candidate.h"
#include "ice/checklist.h"
#include "stun/builder.h"
#include "stun/message.h"

namespace turnpike::ice {

struct IceCredentials {
  std::string ufrag;     // 4 to 256 characters (RFC 8839 section 5.4)
  std::string password;  // 22 to 256
};
IceCredentials make_credentials(Random& random);

class Agent {
 public:
  enum class Role : std::uint8_t { kControlling, kControlled };
  enum class Mode : std::uint8_t { kFull, kLite };
  // kDisconnected: a selected pair whose answers stay out; it may recover until consent expires.
  enum class State : std::uint8_t { kNew, kChecking, kConnected, kDisconnected, kFailed };

  struct Settings {
    Role role = Role::kControlling;
    Mode mode = Mode::kFull;
    milliseconds pace{50};  // Ta: between two checks (section 14.2)
    // How long a pair that works waits for a better one to work before it is nominated.
    milliseconds patience{1000};
    // Nothing works by then, counted from the last new candidate: failed. The other side may still
    // find a way to us when all of our own checks have failed, so nothing but time tells (RFC
    // 8863).
    seconds time_limit{40};
  };

  struct Selected {
    Base base = 0;
    Candidate local, remote;
  };

  // Nothing here may call back into the agent.
  class Outputs {
   public:
    virtual ~Outputs() = default;
    virtual void send(Base base, const Address& to, ByteView bytes) = 0;
    // This base is about to talk to that address: a relay needs a permission for it.
    virtual void on_pair(Base base, const Address& remote) = 0;
    virtual void on_selected(const Selected& selected) = 0;  // again when a better pair took over
    virtual void on_state(State state) = 0;
  };

  Agent(Settings settings, Random& random);

  // Ours, for SDP. New after restart().
  const IceCredentials& credentials() const { return ours_; }
  Role role() const { return role_; }
  State state() const { return state_; }
  const Checklist& checklist() const { return checklist_; }  // for statistics
  std::optional<Selected> selected() const;

  void add_local(Tick now, const Candidate& candidate, Base base, Outputs& outputs);
  // Their credentials; checks begin with them. `lite` as their SDP says: then we control.
  void set_remote(Tick now, IceCredentials credentials, Mode mode, Outputs& outputs);
  void add_remote(Tick now, const Candidate& candidate, Outputs& outputs);
  // Section 9: new credentials, a new checklist; what is selected goes on until the next is.
  void restart(Tick now, Outputs& outputs);

  // A STUN message from the network. False when it is not for this session.
  bool on_packet(Tick now, Base base, const Address& from, ByteView message, Outputs& outputs);
  void on_time(Tick now, Outputs& outputs);
  MonoTime next_deadline() const;

  // Media, by the selected pair. False when there is none, or consent has expired.
  bool send(ByteView data, Outputs& outputs);

 private:
  // A check is repeated after 500 ms, then at doubled intervals (section 14.3), of which none is
  // longer than 2 s: over a lossy relay seven repetitions are too few, and a restart is dear.
  static constexpr Duration kFirstRepetition = milliseconds(500);
  static constexpr Duration kLongestInterval = seconds(2);
  static constexpr Duration kCheckLifetime = seconds(30);
  static constexpr Duration kConsentInterval = seconds(5);  // RFC 7675 section 5.1: 5 s +- 20 %
  static constexpr Duration kConsentHaste = seconds(1);     // while the last is unanswered
  static constexpr Duration kConsentLifetime = seconds(30);
  static constexpr Duration kDisconnectedAfter = seconds(12);  // two checks unanswered
  // A pair that was nominated loses to a worse one when the other side has gone over to that.
  static constexpr Duration kRenominatedAfter = seconds(4);
  static constexpr std::size_t kMaxChecks = 64;      // under way at once
  static constexpr std::size_t kMaxPeerChecks = 32;  // of the other side, before its credentials

  enum class Purpose : std::uint8_t { kConnectivity, kNomination, kConsent };
  // A Binding request of ours that has not been answered.
  struct Check {
    stun::TransactionId id;
    Purpose purpose;
    std::size_t pair;
    Base base;
    Address to;
    Role role;  // as the request said
    std::vector<std::uint8_t> message;
    Duration interval;  // to the next repetition
    MonoTime next;      // repetition, or end
    MonoTime end;
  };
  // A check of the other side, as far as it matters.
  struct PeerCheck {
    Base base;
    Address from;
    std::uint32_t priority;
    bool nominated;
  };

  // agent_requests.cc
  bool on_request(Tick now, Base base, const Address& from, const stun::MessageView& message,
                  Outputs& outputs);
  bool settle_roles(Tick now, Base base, const Address& from, const stun::MessageView& message,
                    Outputs& outputs);
  void answer(Base base, const Address& to, const stun::MessageView& request, Outputs& outputs);
  void refuse(Base base, const Address& to, const stun::MessageView& request, stun::ErrorCode code,
              Outputs& outputs);
  void take_check(Tick now, const PeerCheck& check, Outputs& outputs);
  void check_back(Tick now, std::size_t pair, Outputs& outputs);
  void start_check(Tick now, std::size_t pair, Purpose purpose, Outputs& outputs);
  std::vector<std::uint8_t> compose(const Check& check) const;

  // agent.cc
  bool on_response(Tick now, Base base, const Address& from, const stun::MessageView& message,
                   Outputs& outputs);
  void on_success(Tick now, const Check& check, Outputs& outputs);
  void on_failure(Tick now, const Check& check);
  void on_role_conflict(Tick now, const Check& check, Outputs& outputs);
  void switch_role(Tick now, Role role);
  void expect_nomination(Tick now);
  void nominate(Tick now, Outputs& outputs);
  void nominated_by_peer(Tick now, std::size_t pair, Outputs& outputs);
  void select(Tick now, std::size_t pair, Outputs& outputs);
  void announce_pairs(Outputs& outputs);
  void check_on_time(Tick now, Outputs& outputs);
  void pace_on_time(Tick now, Outputs& outputs);
  void consent_on_time(Tick now, Outputs& outputs);
  void hope_anew(Tick now);
  void start_checking(Tick now, Outputs& outputs);
  void set_state(State state, Outputs& outputs);
  bool may_check() const { return settings_.mode == Mode::kFull && theirs_.has_value(); }

  const Settings settings_;
  Random& random_;
  Role role_;
  std::uint64_t tie_breaker_;
  IceCredentials ours_;
  std::optional<IceCredentials> theirs_;
  State state_ = State::kNew;
  Checklist checklist_;
  std::size_t announced_pairs_ = 0;
  std::vector<LocalCandidate> bases_;  // what restart() checks again
  std::vector<Check> checks_;
  std::vector<PeerCheck> early_checks_;

  std::optional<std::size_t> nominating_;     // the pair whose nomination is under way
  std::optional<std::size_t> selected_pair_;  // of the current checklist
  std::optional<Selected> selected_;
  MonoTime next_check_ = MonoTime::never();
  MonoTime nominate_at_ = MonoTime::never();
  MonoTime fail_at_ = MonoTime::never();
  MonoTime next_consent_ = MonoTime::never();
  MonoTime last_consent_;
  MonoTime last_nomination_;  // of the selected pair, by the other side
};

}  // namespace turnpike::ice
