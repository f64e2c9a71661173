#include "server/state_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "tests/server/child.h"
#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Caller somebody() {
  Caller caller;
  caller.uid = 1000;
  caller.user_name = "ann";
  caller.home = "/home/ann";
  return caller;
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

std::string error_of(const Expected<std::string>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? "" : result.error().message;
}

TEST(StateDirChoice, FollowsTheCaller) {
  Caller caller = somebody();
  EXPECT_EQ(*choose_state_dir("", caller), "/home/ann/.local/state/turnpike");
  caller.xdg_state_home = "/home/ann/state";
  EXPECT_EQ(*choose_state_dir("", caller), "/home/ann/state/turnpike");
  caller.xdg_state_home = "relative";
  EXPECT_EQ(*choose_state_dir("", caller), "/home/ann/.local/state/turnpike");
  caller.user_name = "turnpike";
  EXPECT_EQ(*choose_state_dir("", caller), "/var/lib/turnpike");
  caller = somebody();
  caller.uid = 0;
  EXPECT_EQ(*choose_state_dir("", caller), "/var/lib/turnpike");
  EXPECT_EQ(*choose_state_dir("/elsewhere/", caller), "/elsewhere");
  EXPECT_EQ(*choose_state_dir("/", caller), "/");
}

TEST(StateDirChoice, WithoutAHomeItMustBeNamed) {
  Caller caller = somebody();
  caller.home.clear();
  EXPECT_THAT(error_of(choose_state_dir("", caller)), HasSubstr("--state-dir"));
}

class StateDirTest : public ::testing::Test {
 protected:
  StateDir open(const std::string& path) {
    auto state = StateDir::open(path, current_caller());
    EXPECT_TRUE(state.has_value()) << state.error().message;
    return std::move(*state);
  }

  ScratchDir scratch_;
  SystemRandom random_;
};

TEST_F(StateDirTest, ASecretHas256BitsIsPrivateAndStaysTheSame) {
  const std::string path = scratch_.path_of("a/b/state");
  const StateDir state = open(path);
  EXPECT_EQ(mode_of(path), 0700u);
  const auto secret = state.secret("secret", random_);
  ASSERT_TRUE(secret.has_value()) << secret.error().message;
  EXPECT_EQ(base64url_decode(*secret)->size(), 32u);
  EXPECT_EQ(mode_of(path + "/secret"), 0600u);
  EXPECT_EQ(*state.secret("secret", random_), *secret);
  EXPECT_EQ(*open(path).secret("secret", random_), *secret);
  EXPECT_NE(*state.secret("api-key", random_), *secret);
  EXPECT_THAT(names_in(path), ::testing::UnorderedElementsAre("secret", "api-key"));
}

TEST_F(StateDirTest, InstancesThatStartAtOnceAgreeOnOneSecret) {
  const std::string path = scratch_.path_of("state");
  constexpr int kInstances = 8;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> secrets(kInstances);
    std::vector<std::thread> instances;
    for (int i = 0; i < kInstances; ++i) {
      instances.emplace_back([&, i] {
        SystemRandom random;
        auto state = StateDir::open(path, current_caller());
        if (state) secrets[static_cast<std::size_t>(i)] = *state->secret("secret", random);
      });
    }
    for (std::thread& instance : instances) instance.join();
    EXPECT_EQ(std::set<std::string>(secrets.begin(), secrets.end()).size(), 1u);
    EXPECT_EQ(secrets[0].size(), 43u);
    EXPECT_THAT(names_in(path), ::testing::ElementsAre("secret"));
    std::filesystem::remove_all(path);
  }
}

TEST_F(StateDirTest, ASecretThatOthersMayReadIsRefused) {
  const StateDir state = open(scratch_.path());
  ASSERT_TRUE(state.secret("secret", random_).has_value());
  for (const mode_t mode : {0640, 0604, 0620, 0601}) {
    ::chmod(scratch_.path_of("secret").c_str(), mode);
    EXPECT_THAT(error_of(state.secret("secret", random_)),
                AllOf(HasSubstr(scratch_.path_of("secret")), HasSubstr("chmod 600")));
  }
  ::chmod(scratch_.path_of("secret").c_str(), 0400);
  EXPECT_TRUE(state.secret("secret", random_).has_value());
}

TEST_F(StateDirTest, ADamagedSecretIsRefusedAndNotReplaced) {
  const StateDir state = open(scratch_.path());
  for (const std::string& content :
       {std::string(), std::string("\n"), std::string(31, 'x'), std::string(1025, 'x'),
        std::string(20, 'x') + "\n" + std::string(20, 'y')}) {
    scratch_.write("secret", content);
    EXPECT_THAT(error_of(state.secret("secret", random_)), HasSubstr("damaged"));
  }
  scratch_.write("secret", std::string(1024, 'x'));
  EXPECT_EQ(*state.secret("secret", random_), std::string(1024, 'x'));
  scratch_.write("secret", std::string(32, 'x') + "\r\n");
  EXPECT_EQ(*state.secret("secret", random_), std::string(32, 'x'));
}

TEST_F(StateDirTest, LinksAndFoldersInPlaceOfASecretAreRefused) {
  const StateDir state = open(scratch_.path());
  const std::string elsewhere = scratch_.write("elsewhere", std::string(43, 'x'));
  std::filesystem::create_symlink(elsewhere, scratch_.path_of("secret"));
  EXPECT_THAT(error_of(state.secret("secret", random_)), StartsWith("cannot read"));
  std::filesystem::create_directory(scratch_.path_of("api-key"));
  EXPECT_THAT(error_of(state.secret("api-key", random_)), HasSubstr("is not a file"));
}

TEST_F(StateDirTest, AFolderThatEveryoneCanWriteIntoIsRefused) {
  ::chmod(scratch_.path().c_str(), 0777);
  const auto state = StateDir::open(scratch_.path(), current_caller());
  ASSERT_FALSE(state.has_value());
  EXPECT_THAT(state.error().message, HasSubstr("chmod 700"));
}

TEST_F(StateDirTest, AFileInPlaceOfTheFolderIsRefused) {
  const std::string file = scratch_.write("file", "");
  for (const std::string& path : {file, file + "/below"}) {
    const auto state = StateDir::open(path, current_caller());
    ASSERT_FALSE(state.has_value());
    EXPECT_THAT(state.error().message, AllOf(HasSubstr(file), HasSubstr("--state-dir")));
  }
}

TEST_F(StateDirTest, OneThatCannotBeWrittenSaysWhatToPass) {
  ::chmod(scratch_.path().c_str(), 0555);
  const auto says_it = [](const Error& error) {
    return error.message.find("--state-dir") != std::string::npos;
  };
  EXPECT_EQ(in_ordinary_child([&] {
              const auto state = StateDir::open(scratch_.path(), current_caller());
              if (!state) return 1;
              const auto secret = state->secret("secret", random_);
              if (secret || !says_it(secret.error())) return 2;
              const auto below = StateDir::open(scratch_.path_of("below"), current_caller());
              return !below && says_it(below.error()) ? 0 : 3;
            }),
            0);
}

TEST_F(StateDirTest, AReadableSecretNeedsNoPermissionToWrite) {
  ASSERT_TRUE(open(scratch_.path()).secret("secret", random_).has_value());
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(scratch_.path_of("secret").c_str(), kOrdinaryUser, kOrdinaryUser), 0);
  }
  ::chmod(scratch_.path().c_str(), 0555);
  EXPECT_EQ(in_ordinary_child([&] {
              const auto state = StateDir::open(scratch_.path(), current_caller());
              return state && state->secret("secret", random_) ? 0 : 1;
            }),
            0);
}

TEST_F(StateDirTest, ASecretThatAStrangerPutThereIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make files of strangers";
  ASSERT_TRUE(open(scratch_.path()).secret("secret", random_).has_value());
  ASSERT_EQ(::chown(scratch_.path_of("secret").c_str(), kOrdinaryUser, kOrdinaryUser), 0);
  const auto read = open(scratch_.path()).secret("secret", random_);
  ASSERT_FALSE(read.has_value());
  EXPECT_THAT(read.error().message, HasSubstr("belongs to another user"));
}

TEST_F(StateDirTest, RootGivesWhatItCreatesToTheSystemUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  Caller root = current_caller();
  root.system_user = SystemUser{"turnpike", 54321, 54322};
  const std::string path = scratch_.path_of("lib/turnpike");
  const auto state = StateDir::open(path, root);
  ASSERT_TRUE(state.has_value()) << state.error().message;
  ASSERT_TRUE(state->secret("secret", random_).has_value());
  for (const std::string& mine : {path, path + "/secret"}) {
    struct stat status {};
    ASSERT_EQ(::stat(mine.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 54321u) << mine;
    EXPECT_EQ(status.st_gid, 54322u) << mine;
  }
  EXPECT_EQ(mode_of(scratch_.path_of("lib")), 0755u);
  EXPECT_EQ(mode_of(path), 0700u);
}

TEST_F(StateDirTest, IsNotTouchedWhenTheOperatorGaveEverything) {
  Config config;
  config.shared_secrets = {"s"};
  config.api_keys = {"k"};
  config.state_dir = scratch_.path_of("state");
  ASSERT_TRUE(generated_secrets(config, current_caller(), random_).has_value());
  EXPECT_FALSE(std::filesystem::exists(config.state_dir));
  config.api_keys.clear();
  const auto generated = generated_secrets(config, current_caller(), random_);
  ASSERT_TRUE(generated.has_value());
  EXPECT_THAT(generated->shared_secret, IsEmpty());
  EXPECT_EQ(generated->api_key.size(), 43u);
  EXPECT_EQ(generated->api_key_file, config.state_dir + "/api-key");
  EXPECT_THAT(names_in(config.state_dir), ::testing::ElementsAre("api-key"));
}

}  // namespace
}  // namespace turnpike::server
