// One worker's questions to the authorisation service: what is kept, what is asked, what is not.
#include "server/hook_desk.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace turnpike::server {
namespace {

using Status = turn::Credentials::Keys::Status;

struct HookDeskTest : testing::Test {
  HookCache cache{HookCache::Limits{}};
  std::vector<HookQuestion> asked;
  bool client_is_full = false;
  HookDesk::Pace pace;
  std::optional<HookDesk> made;
  Tick now{MonoTime{hours(1)}, WallTime{seconds(1'800'000'000)}};
  std::vector<std::uint8_t> message = std::vector<std::uint8_t>(100, 1);

  HookDesk& desk() {
    if (!made) {
      made.emplace(HookDesk::Wiring{3, cache,
                                    [this](HookQuestion question) {
                                      if (client_is_full) return false;
                                      asked.push_back(std::move(question));
                                      return true;
                                    },
                                    "example.org", pace});
    }
    return *made;
  }
  static turn::Path path(int port, turn::Transport transport = turn::Transport::kUdp,
                         std::string_view ip = "203.0.113.5") {
    turn::Path made;
    made.transport = transport;
    made.local = *Address::parse("198.51.100.1:3478");
    made.remote = {*IpAddress::parse(ip), static_cast<std::uint16_t>(port)};
    if (transport != turn::Transport::kUdp) made.stream = static_cast<std::uint64_t>(port);
    return made;
  }
  Status find(std::string_view name, const turn::Path& from) {
    return desk().find({name, stun::PasswordAlgorithm::kMd5, from, message}, now).keys.status;
  }
  void answer(std::string_view name, HookAnswer::Kind kind) {
    HookAnswer answer;
    answer.kind = kind;
    cache.settle(name, answer, now.mono);
  }
};

TEST_F(HookDeskTest, AQuestionIsAskedOnceAndItsRequestKept) {
  EXPECT_EQ(find("alice", path(1)), Status::kPending);
  EXPECT_EQ(find("alice", path(1)), Status::kPending) << "sent again";
  EXPECT_EQ(find("alice", path(2)), Status::kPending);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].username, "alice");
  EXPECT_NE(asked[0].body.find(R"("client":"203.0.113.5:1")"), std::string::npos);
  const auto kept = desk().take("alice");
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].path, path(1));
  EXPECT_EQ(kept[0].message, message);
  EXPECT_EQ(kept[1].path, path(2));
  EXPECT_EQ(desk().kept(), 0u);
  EXPECT_TRUE(desk().take("alice").empty());
}

TEST_F(HookDeskTest, TheAnswerIsTheCachesFromThenOn) {
  find("alice", path(1));
  answer("alice", HookAnswer::Kind::kKnown);
  EXPECT_EQ(find("alice", path(9)), Status::kKnown);
  find("eve", path(1));
  answer("eve", HookAnswer::Kind::kUnknown);
  EXPECT_EQ(find("eve", path(9)), Status::kUnknown);
  EXPECT_EQ(asked.size(), 2u);
}

TEST_F(HookDeskTest, ASecondRequestOfAConnectionIsRefusedWhileOneWaits) {
  for (const auto transport : {turn::Transport::kTcp, turn::Transport::kTls}) {
    const turn::Path one = path(static_cast<int>(transport) + 10, transport);
    EXPECT_EQ(find("alice", one), Status::kPending);
    EXPECT_EQ(find("alice", one), Status::kFailed);
    EXPECT_EQ(find("bob", one), Status::kFailed);
  }
}

TEST_F(HookDeskTest, AFullClientIsAFailureThatLastsASecond) {
  client_is_full = true;
  EXPECT_EQ(find("alice", path(1)), Status::kFailed);
  client_is_full = false;
  EXPECT_EQ(find("alice", path(1)), Status::kFailed);
  now.mono = now.mono + seconds(1);
  EXPECT_EQ(find("alice", path(1)), Status::kPending);
}

TEST_F(HookDeskTest, QuestionsArePacedByPrefix) {
  pace = {1, 5};
  int sent = 0;
  for (int i = 0; i < 100; ++i) {
    if (find(fmt::format("n{}", i), path(1)) == Status::kPending) ++sent;
  }
  EXPECT_LE(asked.size(), 6u);
  EXPECT_GE(asked.size(), 5u);
  EXPECT_EQ(static_cast<std::size_t>(sent), asked.size());
  EXPECT_EQ(find("alice", path(1, turn::Transport::kUdp, "198.51.100.77")), Status::kPending);
  const std::size_t before = asked.size();
  now.mono = now.mono + seconds(10);
  EXPECT_EQ(find("late", path(1)), Status::kPending);
  EXPECT_EQ(asked.size(), before + 1);
}

TEST_F(HookDeskTest, WhoIsCachedIsNotPaced) {
  pace = {1, 1};
  find("alice", path(1));
  answer("alice", HookAnswer::Kind::kKnown);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(find("alice", path(i)), Status::kKnown);
}

TEST_F(HookDeskTest, RequestsThatAreTooLongAreNotKept) {
  message.resize(HookDesk::kMaxRequest);
  EXPECT_EQ(find("alice", path(1, turn::Transport::kTcp)), Status::kPending);
  message.resize(HookDesk::kMaxRequest + 1);
  EXPECT_EQ(find("alice", path(2, turn::Transport::kTcp)), Status::kFailed);
  EXPECT_EQ(find("alice", path(2)), Status::kPending) << "it will be sent again";
  EXPECT_EQ(desk().kept(), 1u);
}

TEST_F(HookDeskTest, KeptRequestsHaveAMaximum) {
  for (std::size_t i = 0; i < HookDesk::kMaxKept; ++i) {
    ASSERT_EQ(find("alice", path(static_cast<int>(i), turn::Transport::kTcp)), Status::kPending);
  }
  EXPECT_EQ(find("alice", path(5000, turn::Transport::kTcp)), Status::kFailed);
  EXPECT_EQ(find("alice", path(5000)), Status::kPending);
  EXPECT_EQ(desk().kept(), HookDesk::kMaxKept);
  now.mono = now.mono + HookDesk::kKeepTime;
  EXPECT_EQ(find("alice", path(5000, turn::Transport::kTcp)), Status::kPending);
  EXPECT_EQ(desk().kept(), 1u) << "nobody came for the others";
  EXPECT_EQ(desk().take("alice").size(), 1u);
}

TEST_F(HookDeskTest, NamesThatJsonCannotSayAreUnknown) {
  EXPECT_EQ(find("a\xff", path(1)), Status::kUnknown);
  EXPECT_TRUE(asked.empty());
}

}  // namespace
}  // namespace turnpike::server
