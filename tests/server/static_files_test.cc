#include "server/static_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace turnpike::server {
namespace {

namespace fs = std::filesystem;
using Kind = signaling::FileAnswer::Kind;

// A folder that is served, inside one that is not.
class StaticFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/turnpike-static-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    outer_ = pattern;
    served_ = outer_ / "served";
    fs::create_directory(served_);
    write("secret.txt", "do not read");
    auto opened = StaticFiles::open(served_.string());
    ASSERT_TRUE(opened) << opened.error().message;
    files_ = std::move(*opened);
  }
  void TearDown() override { fs::remove_all(outer_); }

  void write(const std::string& below_outer, const std::string& content) {
    fs::create_directories((outer_ / below_outer).parent_path());
    std::ofstream(outer_ / below_outer) << content;
  }

  fs::path outer_, served_;
  std::unique_ptr<StaticFiles> files_;
};

TEST_F(StaticFilesTest, ReadsAFileWithItsTime) {
  write("served/a/b.txt", "hello");
  const auto answer = files_->read_now("a/b.txt");
  ASSERT_EQ(answer.kind, Kind::kFile);
  EXPECT_EQ(answer.content, "hello");
  EXPECT_GT(answer.modified.since_epoch.count(), 1600000000);
}

TEST_F(StaticFilesTest, AMissingFileIsNotFound) {
  EXPECT_EQ(files_->read_now("nothing").kind, Kind::kNotFound);
  EXPECT_EQ(files_->read_now("nothing/below").kind, Kind::kNotFound);
}

TEST_F(StaticFilesTest, NoPathLeadsOutOfTheFolder) {
  EXPECT_EQ(files_->read_now("../secret.txt").kind, Kind::kNotFound);
  EXPECT_EQ(files_->read_now("a/../../secret.txt").kind, Kind::kNotFound);
  EXPECT_EQ(files_->read_now("/etc/passwd").kind, Kind::kNotFound);
  EXPECT_EQ(files_->read_now("..").kind, Kind::kNotFound);
}

TEST_F(StaticFilesTest, NoSymbolicLinkLeadsOutOfTheFolder) {
  fs::create_symlink(outer_ / "secret.txt", served_ / "absolute");
  fs::create_symlink("../secret.txt", served_ / "relative");
  fs::create_directory_symlink("..", served_ / "folder");
  EXPECT_EQ(files_->read_now("absolute").kind, Kind::kNotFound);
  EXPECT_EQ(files_->read_now("relative").kind, Kind::kNotFound);
  EXPECT_EQ(files_->read_now("folder/secret.txt").kind, Kind::kNotFound);
  EXPECT_EQ(files_->read_now("folder").kind, Kind::kNotFound);
}

TEST_F(StaticFilesTest, AFolderAnswersItsIndexPage) {
  write("served/site/index.html", "<p>site");
  EXPECT_EQ(files_->read_now("site").content, "<p>site");
  EXPECT_TRUE(files_->read_now("site").is_index);
  EXPECT_FALSE(files_->read_now("site/index.html").is_index);
  EXPECT_EQ(files_->read_now("site/").content, "<p>site");
  write("served/index.html", "<p>root");
  EXPECT_EQ(files_->read_now("").content, "<p>root");
}

TEST_F(StaticFilesTest, AFolderWithoutIndexIsListedWithoutDotFiles) {
  write("served/b.txt", "b");
  write("served/a/x", "x");
  write("served/.hidden", "no");
  const auto answer = files_->read_now("");
  ASSERT_EQ(answer.kind, Kind::kDirectory);
  EXPECT_EQ(answer.listing, (std::vector<std::string>{"a/", "b.txt"}));
}

TEST_F(StaticFilesTest, AListingStopsAtItsMaximum) {
  for (std::size_t i = 0; i <= StaticFiles::kMaxListed; ++i) {
    write("served/" + std::to_string(i), "");
  }
  EXPECT_EQ(files_->read_now("").listing.size(), StaticFiles::kMaxListed);
}

TEST_F(StaticFilesTest, TheLargestFileIsReadAndOneByteMoreIsTooLarge) {
  write("served/large", "");
  ASSERT_EQ(::truncate((served_ / "large").c_str(), StaticFiles::kMaxFileSize), 0);
  EXPECT_EQ(files_->read_now("large").kind, Kind::kFile);
  EXPECT_EQ(files_->read_now("large").content.size(), StaticFiles::kMaxFileSize);
  ASSERT_EQ(::truncate((served_ / "large").c_str(), StaticFiles::kMaxFileSize + 1), 0);
  EXPECT_EQ(files_->read_now("large").kind, Kind::kTooLarge);
}

TEST_F(StaticFilesTest, APipeDoesNotHangTheReader) {
  ASSERT_EQ(::mkfifo((served_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(files_->read_now("pipe").kind, Kind::kNotFound);
}

// Root may read everything: these tests become somebody else for a while.
class AsNobody {
 public:
  AsNobody() { EXPECT_TRUE(!root_ || ::seteuid(65534) == 0); }
  ~AsNobody() { EXPECT_TRUE(!root_ || ::seteuid(0) == 0); }
  AsNobody(const AsNobody&) = delete;
  AsNobody& operator=(const AsNobody&) = delete;

 private:
  const bool root_ = ::geteuid() == 0;
};

TEST_F(StaticFilesTest, WhatTheUserMayNotReadIsFound) {
  for (const char* path : {"served/index.html", "served/js/main.js", "served/css/a/b.css"}) {
    write(path, "page");
  }
  fs::permissions(served_, fs::perms{0755});
  for (const auto& entry : fs::recursive_directory_iterator(served_)) {
    fs::permissions(entry, fs::perms{entry.is_directory() ? 0755u : 0644u});
  }
  {
    const AsNobody user;
    EXPECT_FALSE(files_->find_unreadable());
  }
  const auto closed_by = [this](const fs::path& path) {
    const auto before = fs::status(path).permissions();
    fs::permissions(path, fs::perms::none);
    std::optional<StaticFiles::Unreadable> found;
    {
      const AsNobody user;
      found = files_->find_unreadable();
    }
    fs::permissions(path, before);
    return found ? std::to_string(found->count) + " " + found->first : "none";
  };
  EXPECT_EQ(closed_by(served_ / "index.html"), "1 index.html");
  EXPECT_EQ(closed_by(served_ / "css/a/b.css"), "1 css/a/b.css");
  EXPECT_EQ(closed_by(served_ / "js"), "1 js");
  EXPECT_EQ(closed_by(served_), "1 ");
  // What is never served may be closed.
  write("served/.hidden", "secret");
  EXPECT_EQ(closed_by(served_ / ".hidden"), "none");
}

TEST_F(StaticFilesTest, TheSearchForClosedFilesHasAnEnd) {
  for (std::size_t i = 0; i < StaticFiles::kMaxLookedAt + 10; ++i) {
    write("served/" + std::to_string(i), "");
    fs::permissions(served_ / std::to_string(i), fs::perms::none);
  }
  fs::permissions(served_, fs::perms{0755});
  const AsNobody user;
  const auto found = files_->find_unreadable();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->count, StaticFiles::kMaxLookedAt - 1) << "and the folder itself";
}

class ChallengesTest : public StaticFilesTest {
 protected:
  void SetUp() override {
    StaticFilesTest::SetUp();
    auto opened = StaticFiles::open(served_.string(), signaling::Folder::kChallenges);
    ASSERT_TRUE(opened) << opened.error().message;
    files_ = std::move(*opened);
    write("served/.well-known/acme-challenge/token", "token.thumbprint");
  }
  Kind kind_of(const std::string& name) {
    return files_->read_now(".well-known/acme-challenge/" + name).kind;
  }
  fs::path challenge(const std::string& name) {
    return served_ / ".well-known/acme-challenge" / name;
  }
};

TEST_F(ChallengesTest, ASmallFileIsRead) {
  EXPECT_EQ(files_->read_now(".well-known/acme-challenge/token").content, "token.thumbprint");
  EXPECT_EQ(kind_of("another"), Kind::kNotFound);
}

TEST_F(ChallengesTest, NoSymbolicLinkIsFollowedNotEvenWithinTheFolder) {
  fs::create_symlink("token", challenge("link"));
  fs::create_symlink(outer_ / "secret.txt", challenge("out"));
  EXPECT_EQ(kind_of("link"), Kind::kNotFound);
  EXPECT_EQ(kind_of("out"), Kind::kNotFound);
  fs::rename(served_ / ".well-known", outer_ / "elsewhere");
  fs::create_directory_symlink(outer_ / "elsewhere", served_ / ".well-known");
  EXPECT_EQ(kind_of("token"), Kind::kNotFound);
}

TEST_F(ChallengesTest, NothingButAFileIsAnAnswer) {
  fs::create_directory(challenge("folder"));
  write("served/.well-known/acme-challenge/folder/index.html", "a page");
  ASSERT_EQ(::mkfifo(challenge("pipe").c_str(), 0644), 0);
  EXPECT_EQ(kind_of("folder"), Kind::kNotFound);
  EXPECT_EQ(kind_of(""), Kind::kNotFound);
  EXPECT_EQ(kind_of("pipe"), Kind::kNotFound);
}

TEST_F(ChallengesTest, AFileOfTheLargestSizeIsReadAndOneByteMoreIsNot) {
  write("served/.well-known/acme-challenge/large",
        std::string(StaticFiles::kMaxChallengeSize, 'x'));
  EXPECT_EQ(kind_of("large"), Kind::kFile);
  write("served/.well-known/acme-challenge/large",
        std::string(StaticFiles::kMaxChallengeSize + 1, 'x'));
  EXPECT_EQ(kind_of("large"), Kind::kTooLarge);
}

TEST_F(ChallengesTest, TheFolderOfTheChallengesMayComeAndGo) {
  fs::remove_all(served_ / ".well-known");
  EXPECT_EQ(kind_of("token"), Kind::kNotFound);
  write("served/.well-known/acme-challenge/token", "again");
  EXPECT_EQ(kind_of("token"), Kind::kFile);
}

TEST_F(ChallengesTest, AFolderThatIsNotThereIsSaidWithItsOption) {
  const auto opened = StaticFiles::open("/nonexistent", signaling::Folder::kChallenges);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "cannot serve files from /nonexistent (--acme-webroot): No such file or directory");
}

TEST_F(StaticFilesTest, AFolderThatIsNotThereIsSaidInOneSentence) {
  const auto opened = StaticFiles::open("/nonexistent/folder");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("/nonexistent/folder"), std::string::npos);
}

}  // namespace
}  // namespace turnpike::server
