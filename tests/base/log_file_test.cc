#include "base/log_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace turnpike::log {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class LogFileTest : public testing::Test {
 protected:
  LogFileTest() {
    char name[] = "/tmp/turnpike-test-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~LogFileTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name = "log") const { return folder_ / name; }
  static std::string content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  fs::path folder_;
  LogFile::Time now_{1767225600s};
};

TEST_F(LogFileTest, LinesAreAddedToWhatTheFileHas) {
  std::ofstream(path()) << "before\n";
  LogFile file(path());
  EXPECT_TRUE(file.write("one\n", now_));
  EXPECT_EQ(content(path()), "before\none\n");
  EXPECT_EQ(file.take_complaint(), "");
}

TEST_F(LogFileTest, StrangersMayNotReadIt) {
  LogFile file(path());
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07, 0u);
}

TEST_F(LogFileTest, AfterRotationReopeningGoesOnInANewFile) {
  LogFile file(path());
  file.write("one\n", now_);
  fs::rename(path(), path("log.1"));
  file.reopen();
  EXPECT_TRUE(file.write("two\n", now_));
  EXPECT_EQ(content(path("log.1")), "one\n");
  EXPECT_EQ(content(path()), "two\n");
}

TEST_F(LogFileTest, RotationIsNoticedWithinASecondWithoutAWord) {
  LogFile file(path());
  file.write("one\n", now_);
  fs::rename(path(), path("log.1"));
  EXPECT_TRUE(file.write("two\n", now_ + 999ms));
  EXPECT_TRUE(file.write("three\n", now_ + 1s));
  EXPECT_EQ(content(path("log.1")), "one\ntwo\n");
  EXPECT_EQ(content(path()), "three\n");
}

TEST_F(LogFileTest, AClockThatIsSetBackDoesNotStopTheLooking) {
  LogFile file(path());
  file.write("one\n", now_);
  fs::rename(path(), path("log.1"));
  EXPECT_TRUE(file.write("two\n", now_ - 24h));
  EXPECT_EQ(content(path()), "two\n");
}

TEST_F(LogFileTest, AFolderThatVanishedIsToldOnceAndNothingIsLost) {
  fs::create_directory(folder_ / "logs");
  LogFile file(path("logs/log"));
  file.write("one\n", now_);
  fs::rename(folder_ / "logs", folder_ / "gone");
  EXPECT_TRUE(file.write("two\n", now_ + 1s));
  EXPECT_NE(file.take_complaint().find("No such file or directory; lines go on"),
            std::string::npos);
  EXPECT_TRUE(file.write("three\n", now_ + 2s));
  EXPECT_EQ(file.take_complaint(), "");
  EXPECT_EQ(content(path("gone/log")), "one\ntwo\nthree\n");
  // And when it is back, the file is there again.
  fs::create_directory(folder_ / "logs");
  EXPECT_TRUE(file.write("four\n", now_ + 3s));
  EXPECT_EQ(content(path("logs/log")), "four\n");
  // The next trouble is told again.
  fs::remove_all(folder_ / "logs");
  file.write("five\n", now_ + 4s);
  EXPECT_NE(file.take_complaint(), "");
}

TEST_F(LogFileTest, AFileThatCannotBeOpenedIsTriedAgain) {
  LogFile file(path("logs/log"));
  EXPECT_NE(file.take_complaint().find("lines are lost until it can be opened"), std::string::npos);
  EXPECT_FALSE(file.write("one\n", now_));
  fs::create_directory(folder_ / "logs");
  EXPECT_FALSE(file.write("two\n", now_ + 999ms));
  EXPECT_TRUE(file.write("three\n", now_ + 1s));
  EXPECT_EQ(content(path("logs/log")), "three\n");
  EXPECT_EQ(file.take_complaint(), "");
}

TEST_F(LogFileTest, AFullDiskIsToldOnce) {
  LogFile file("/dev/full");
  EXPECT_FALSE(file.write("one\n", now_));
  EXPECT_NE(file.take_complaint().find("No space left on device"), std::string::npos);
  for (int second = 1; second < 5; ++second) {
    EXPECT_FALSE(file.write("more\n", now_ + second * 1s));
  }
  EXPECT_EQ(file.take_complaint(), "");
}

TEST_F(LogFileTest, APipeThatNobodyReadsDoesNotStopAnybody) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  LogFile file(path());
  EXPECT_NE(file.take_complaint(), "");
  EXPECT_FALSE(file.write("one\n", now_));
}

}  // namespace
}  // namespace turnpike::log
