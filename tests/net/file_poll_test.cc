#include "net/file_poll.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/net/harness.h"
#include "tests/net/tls_client.h"

namespace turnpike::net {
namespace {

constexpr milliseconds kOften{1};

// Changes the file again and again, since nobody knows when the first look was taken.
template <typename Change>
void expect_told(const std::string& path, Change change) {
  Loop loop;
  int told = 0;
  const FilePoll poll(loop, path, kOften, [&told] { ++told; });
  EXPECT_TRUE(turn_until(loop, [&] {
    change();
    return told > 0;
  }));
}

TEST(FilePoll, TellsOfAFileThatIsWritten) {
  const Folder folder;
  const std::string path = folder.file("cert.pem");
  std::ofstream(path) << "1";
  expect_told(path, [&] { std::ofstream(path, std::ios::app) << "2"; });
}

TEST(FilePoll, TellsOfAFileThatIsRenamedOver) {
  const Folder folder;
  const std::string path = folder.file("cert.pem");
  const std::string draft = folder.file("draft");
  std::ofstream(path) << "1";
  expect_told(path, [&] {
    std::ofstream(draft) << "2";
    std::filesystem::rename(draft, path);
  });
}

TEST(FilePoll, TellsOfASymbolicLinkThatPointsElsewhere) {
  const Folder folder;
  const std::string link = folder.file("live");
  const std::string next = folder.file("next");
  for (const char* name : {"one", "two"}) std::ofstream(folder.file(name)) << name;
  std::filesystem::create_symlink("one", link);
  int turn = 0;
  expect_told(link, [&] {
    std::filesystem::create_symlink(++turn % 2 == 0 ? "one" : "two", next);
    std::filesystem::rename(next, link);
  });
}

TEST(FilePoll, TellsOfAFileThatComesAndGoes) {
  const Folder folder;
  const std::string path = folder.file("cert.pem");
  expect_told(path, [&] {
    if (!std::filesystem::remove(path)) std::ofstream(path) << "here";
  });
}

TEST(FilePoll, MayBeDestroyedByWhatItCalls) {
  const Folder folder;
  const std::string path = folder.file("cert.pem");
  Loop loop;
  std::unique_ptr<FilePoll> poll;
  poll = std::make_unique<FilePoll>(loop, path, kOften, [&poll] { poll.reset(); });
  EXPECT_TRUE(turn_until(loop, [&] {
    std::ofstream(path, std::ios::app) << "more";
    return poll == nullptr;
  }));
}

}  // namespace
}  // namespace turnpike::net
