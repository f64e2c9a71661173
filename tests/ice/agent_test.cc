// Single steps of the agent; whole calls are in tests/sim/ice_call_test.cc.
#include "ice/agent.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <utility>

#include "stun/integrity.h"

namespace turnpike::ice {
namespace {

using stun::Attribute;
using stun::Class;
using stun::MessageView;

const Address kHere{IpAddress::v4(192, 0, 2, 1), 5000};
const Address kThere{IpAddress::v4(192, 0, 2, 2), 6000};
const Address kElsewhere{IpAddress::v4(192, 0, 2, 3), 7000};

struct Packet {
  Base base;
  Address to;
  std::vector<std::uint8_t> bytes;
  MessageView view() const { return *MessageView::parse(bytes); }
};

class Recorder : public Agent::Outputs {
 public:
  void send(Base base, const Address& to, ByteView bytes) override {
    sent.push_back({base, to, {bytes.begin(), bytes.end()}});
  }
  void on_pair(Base, const Address& remote) override { pairs.push_back(remote); }
  void on_selected(const Agent::Selected& selected) override { selections.push_back(selected); }
  void on_state(Agent::State state) override { states.push_back(state); }
  Packet take() {
    Packet first = sent.front();
    sent.pop_front();
    return first;
  }

  std::deque<Packet> sent;
  std::vector<Address> pairs;
  std::vector<Agent::Selected> selections;
  std::vector<Agent::State> states;
};

Candidate host(const Address& address) {
  Candidate made;
  made.address = address;
  made.priority = priority_of(CandidateType::kHost, 65535);
  made.foundation = "h";
  return made;
}

class IceAgent : public ::testing::Test {
 protected:
  static constexpr Base kBase = 7;
  explicit IceAgent(Agent::Settings settings = {}) : agent_(settings, random_) {}

  void begin(Agent::Mode theirs = Agent::Mode::kFull) {
    agent_.add_local(now_, host(kHere), kBase, out_);
    agent_.set_remote(now_, theirs_, theirs, out_);
    agent_.add_remote(now_, host(kThere), out_);
    agent_.on_time(now_, out_);
  }
  void wait(Duration duration) {
    now_.mono = now_.mono + duration;
    agent_.on_time(now_, out_);
  }
  bool arrives(const Address& from, ByteView bytes) {
    return agent_.on_packet(now_, kBase, from, bytes, out_);
  }
  // The other side's answer to a check of ours.
  std::vector<std::uint8_t> answer_to(const Packet& check) {
    std::array<std::uint8_t, 256> room;
    auto builder = stun::Builder::response(room, Class::kSuccess, check.view());
    builder.xor_address(Attribute::kXorMappedAddress, kHere)
        .message_integrity(as_bytes(theirs_.password))
        .fingerprint();
    const ByteView bytes = builder.finish();
    return {bytes.begin(), bytes.end()};
  }
  // A check of the other side, in its role.
  std::vector<std::uint8_t> their_check(bool controlling, bool nominated = false,
                                        std::string_view password = {}) {
    stun::TransactionId id;
    random_.fill(id);
    std::array<std::uint8_t, 512> room;
    stun::Builder builder(room, Class::kRequest, stun::Method::kBinding, id);
    builder.text(Attribute::kUsername, agent_.credentials().ufrag + ":" + theirs_.ufrag)
        .u32(Attribute::kPriority, priority_of(CandidateType::kPeerReflexive, 65535))
        .u64(controlling ? Attribute::kIceControlling : Attribute::kIceControlled, tie_breaker_);
    if (nominated) builder.flag(Attribute::kUseCandidate);
    builder.message_integrity(
        as_bytes(password.empty() ? agent_.credentials().password : password));
    const ByteView bytes = builder.fingerprint().finish();
    return {bytes.begin(), bytes.end()};
  }

  SeededRandom random_{1};
  Recorder out_;
  Tick now_;
  Agent agent_;
  IceCredentials theirs_{"peer", "0123456789012345678901"};
  std::uint64_t tie_breaker_ = 1;
};

TEST_F(IceAgent, CredentialsAreOfTheLengthAndAlphabetOfSdp) {
  const IceCredentials made = make_credentials(random_);
  EXPECT_GE(made.ufrag.size(), 4u);
  EXPECT_GE(made.password.size(), 22u);
  for (const char c : made.ufrag + made.password) {
    EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '/') << c;
  }
}

TEST_F(IceAgent, ACheckCarriesWhatTheRfcAsksFor) {
  begin();
  ASSERT_EQ(out_.sent.size(), 1u);
  const Packet check = out_.take();
  EXPECT_EQ(check.base, kBase);
  EXPECT_EQ(check.to, kThere);
  const MessageView view = check.view();
  EXPECT_EQ(view.text(Attribute::kUsername), "peer:" + agent_.credentials().ufrag);
  EXPECT_TRUE(stun::verify_message_integrity(view, as_bytes(theirs_.password)));
  EXPECT_TRUE(view.has(Attribute::kFingerprint));
  EXPECT_EQ(view.u32(Attribute::kPriority), priority_of(CandidateType::kPeerReflexive, 65535));
  EXPECT_TRUE(view.has(Attribute::kIceControlling));
  EXPECT_FALSE(view.has(Attribute::kUseCandidate)) << "nomination is regular";
}

TEST_F(IceAgent, NominatesAPairThatWorksAndThenSendsByIt) {
  begin();
  EXPECT_FALSE(agent_.send(as_bytes("media"), out_));
  EXPECT_TRUE(arrives(kThere, answer_to(out_.take())));
  wait(milliseconds{0});
  const Packet nomination = out_.take();
  EXPECT_TRUE(nomination.view().has(Attribute::kUseCandidate));
  EXPECT_TRUE(out_.selections.empty());
  EXPECT_TRUE(arrives(kThere, answer_to(nomination)));
  ASSERT_EQ(out_.selections.size(), 1u);
  EXPECT_EQ(out_.selections[0].remote.address, kThere);
  EXPECT_EQ(out_.states, (std::vector{Agent::State::kChecking, Agent::State::kConnected}));
  EXPECT_TRUE(agent_.send(as_bytes("media"), out_));
  EXPECT_EQ(out_.take().to, kThere);
}

TEST_F(IceAgent, ARestartThatNobodyAnswersEndsWhatWasSelectedAsSilenceDoes) {
  begin();
  arrives(kThere, answer_to(out_.take()));
  wait(milliseconds{0});
  arrives(kThere, answer_to(out_.take()));
  ASSERT_EQ(agent_.state(), Agent::State::kConnected);
  agent_.restart(now_, out_);
  wait(seconds{29});
  EXPECT_TRUE(agent_.send(as_bytes("media"), out_));
  EXPECT_LE(agent_.next_deadline(), now_.mono + Duration(seconds{1}));
  wait(seconds{1});
  EXPECT_EQ(agent_.state(), Agent::State::kFailed);
  EXPECT_FALSE(agent_.send(as_bytes("media"), out_));
}

TEST_F(IceAgent, AnAnswerFromElsewhereFailsThePair) {
  begin();
  arrives(kElsewhere, answer_to(out_.take()));
  wait(seconds{2});
  EXPECT_TRUE(out_.sent.empty());
  EXPECT_TRUE(out_.selections.empty());
}

TEST_F(IceAgent, AnAnswerThatIsNotSignedIsNone) {
  begin();
  const Packet check = out_.take();
  theirs_.password = "1111111111111111111111";
  EXPECT_FALSE(arrives(kThere, answer_to(check)));
  wait(milliseconds{500});
  EXPECT_EQ(out_.take().bytes, check.bytes) << "sent again, byte for byte";
}

TEST_F(IceAgent, ChecksOfStrangersAreNotAnswered) {
  begin();
  out_.sent.clear();
  EXPECT_FALSE(arrives(kThere, their_check(false, false, "2222222222222222222222")));
  theirs_.ufrag = "other";
  EXPECT_FALSE(arrives(kThere, their_check(false)));
  EXPECT_TRUE(out_.sent.empty());
}

TEST_F(IceAgent, ACheckFromAnUnknownAddressRevealsACandidate) {
  begin();
  out_.sent.clear();
  EXPECT_TRUE(arrives(kElsewhere, their_check(false)));
  EXPECT_EQ(out_.pairs.back(), kElsewhere);
  const Packet answer = out_.take();
  EXPECT_EQ(answer.to, kElsewhere);
  EXPECT_EQ(answer.view().xor_address(Attribute::kXorMappedAddress), kElsewhere);
  EXPECT_TRUE(
      stun::verify_message_integrity(answer.view(), as_bytes(agent_.credentials().password)));
  wait(milliseconds{50});
  EXPECT_EQ(out_.take().to, kElsewhere) << "and is checked back";
}

TEST_F(IceAgent, ChecksThatComeBeforeTheirCredentialsAreAnsweredAndRemembered) {
  agent_.add_local(now_, host(kHere), kBase, out_);
  EXPECT_TRUE(arrives(kThere, their_check(false)));
  EXPECT_TRUE(out_.take().view().is(Class::kSuccess, stun::Method::kBinding));
  EXPECT_TRUE(out_.sent.empty());
  agent_.set_remote(now_, theirs_, Agent::Mode::kFull, out_);
  wait(milliseconds{0});
  EXPECT_EQ(out_.take().to, kThere);
}

TEST_F(IceAgent, OfTwoControllingSidesTheGreaterTieBreakerStays) {
  begin();
  out_.sent.clear();
  tie_breaker_ = 0;
  EXPECT_TRUE(arrives(kThere, their_check(true)));
  const Packet refusal = out_.take();
  EXPECT_EQ(refusal.view().error_code()->code, 487);
  EXPECT_EQ(agent_.role(), Agent::Role::kControlling);
  tie_breaker_ = ~0ull;
  EXPECT_TRUE(arrives(kThere, their_check(true)));
  EXPECT_EQ(agent_.role(), Agent::Role::kControlled);
  EXPECT_TRUE(out_.take().view().is(Class::kSuccess, stun::Method::kBinding));
}

TEST_F(IceAgent, ARefusalForTheRoleIsFollowed) {
  begin();
  const Packet check = out_.take();
  std::array<std::uint8_t, 256> room;
  auto builder = stun::Builder::response(room, Class::kError, check.view());
  builder.error(stun::ErrorCode::kRoleConflict).message_integrity(as_bytes(theirs_.password));
  arrives(kThere, builder.fingerprint().finish());
  EXPECT_EQ(agent_.role(), Agent::Role::kControlled);
  wait(milliseconds{50});
  EXPECT_TRUE(out_.take().view().has(Attribute::kIceControlled));
}

TEST_F(IceAgent, NothingWorksByTheTimeLimitSoItFails) {
  begin();
  wait(seconds{39});
  EXPECT_EQ(agent_.state(), Agent::State::kChecking);
  wait(seconds{2});
  EXPECT_EQ(agent_.state(), Agent::State::kFailed);
  EXPECT_EQ(agent_.next_deadline(), MonoTime::never());
}

TEST_F(IceAgent, AgainstALiteSideTheFullOneControls) {
  Agent controlled({.role = Agent::Role::kControlled}, random_);
  controlled.set_remote(now_, theirs_, Agent::Mode::kLite, out_);
  EXPECT_EQ(controlled.role(), Agent::Role::kControlling);
}

class LiteAgent : public IceAgent {
 protected:
  LiteAgent() : IceAgent({.mode = Agent::Mode::kLite}) {}
};

TEST_F(LiteAgent, LearnsWhatASelectedRemoteIsWhenSignalingComesAfterTheCheck) {
  agent_.add_local(now_, host(kHere), kBase, out_);
  agent_.set_remote(now_, theirs_, Agent::Mode::kFull, out_);
  EXPECT_TRUE(arrives(kThere, their_check(true, true)));
  ASSERT_TRUE(agent_.selected());
  EXPECT_EQ(agent_.selected()->remote.type, CandidateType::kPeerReflexive);
  agent_.add_remote(now_, host(kElsewhere), out_);
  EXPECT_EQ(agent_.selected()->remote.type, CandidateType::kPeerReflexive);
  agent_.add_remote(now_, host(kThere), out_);
  EXPECT_EQ(agent_.selected()->remote.type, CandidateType::kHost);
  EXPECT_EQ(agent_.selected()->remote.address, kThere);
}

TEST_F(LiteAgent, AnswersAndNeverAsks) {
  begin();
  wait(seconds{1});
  EXPECT_TRUE(out_.sent.empty());
  EXPECT_TRUE(arrives(kElsewhere, their_check(true)));
  EXPECT_EQ(out_.take().to, kElsewhere);
  EXPECT_TRUE(out_.selections.empty());
  EXPECT_TRUE(arrives(kElsewhere, their_check(true, true)));
  ASSERT_EQ(out_.selections.size(), 1u);
  EXPECT_EQ(out_.selections[0].remote.address, kElsewhere);
  EXPECT_EQ(agent_.state(), Agent::State::kConnected);
}

TEST_F(LiteAgent, FailsWhenTheOtherSideFallsSilent) {
  begin();
  arrives(kThere, their_check(true, true));
  for (int i = 0; i < 10; ++i) {
    wait(seconds{5});
    arrives(kThere, their_check(true));
  }
  EXPECT_EQ(agent_.state(), Agent::State::kConnected);
  for (int i = 0; i < 40; ++i) wait(seconds{1});
  EXPECT_EQ(agent_.state(), Agent::State::kFailed);
  EXPECT_FALSE(agent_.send(as_bytes("media"), out_));
}

TEST_F(LiteAgent, FollowsABrowserThatGoesOverToAnotherPair) {
  begin();
  arrives(kThere, their_check(true, true));
  arrives(kElsewhere, their_check(true, true));
  EXPECT_EQ(agent_.selected()->remote.address, kThere) << "the better one of two";
  wait(seconds{5});
  arrives(kElsewhere, their_check(true, true));
  EXPECT_EQ(agent_.selected()->remote.address, kElsewhere);
}

}  // namespace
}  // namespace turnpike::ice
