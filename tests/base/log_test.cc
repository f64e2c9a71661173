#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace turnpike {
namespace {

template <typename Body>
std::string captured(Body&& body) {
  testing::internal::CaptureStderr();
  body();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesDirectlyBeforeStart) {
  const std::string text = captured([] { log::warning("port {} is taken", 3478); });
  EXPECT_THAT(text, testing::MatchesRegex(
                        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                        "warning port 3478 is taken\n"));
}

TEST(Log, StopFlushesEveryLineInOrder) {
  const std::string text = captured([] {
    log::start(log::Level::kInfo);
    for (int i = 0; i < 1000; ++i) log::info("line {}", i);
    log::stop();
    log::error("after");
  });
  std::size_t at = 0;
  for (int i = 0; i < 1000; ++i) {
    at = text.find(" info line " + std::to_string(i) + "\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_NE(text.find(" error after\n", at), std::string::npos);
}

TEST(Log, LinesBelowTheLevelAreLeftOut) {
  const std::string text = captured([] {
    log::set_level(log::Level::kWarning);
    log::debug("one");
    log::info("two");
    log::warning("three");
    log::set_level(log::Level::kDebug);
    log::debug("four");
  });
  EXPECT_EQ(text.find("one"), std::string::npos);
  EXPECT_EQ(text.find("two"), std::string::npos);
  EXPECT_NE(text.find("warning three"), std::string::npos);
  EXPECT_NE(text.find("debug four"), std::string::npos);
}

TEST(Log, AStrangersNameCannotWriteALineOfItsOwn) {
  const std::string text = captured([] { log::error("user {}", "x\n2026 error\x1b[2J forged"); });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find("user x?2026 error?[2J forged\n"), std::string::npos) << text;
}

TEST(Log, CanStartAgainAfterStop) {
  const std::string text = captured([] {
    log::start(log::Level::kInfo);
    log::stop();
    log::start(log::Level::kInfo);
    log::info("again");
    log::stop();
  });
  EXPECT_NE(text.find("info again\n"), std::string::npos);
}

}  // namespace
}  // namespace turnpike
