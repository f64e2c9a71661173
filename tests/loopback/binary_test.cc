// The binary as scripts see it: its lines, its signals, its exit codes.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/loopback/test_server.h"
#include "tests/loopback/web_client.h"

extern char** environ;

namespace turnpike::loopback {
namespace {

// A child process whose output is read from one pipe, standard error and standard output alike.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    output_ = pipe[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
    arguments.insert(arguments.begin(), TURNPIKE_BINARY);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, TURNPIKE_BINARY, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(output_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) { ::kill(pid_, number); }
  // Reads until a line is exactly this; false when the output ends before.
  bool wait_for_line(const std::string& line) {
    while (("\n" + text_).find("\n" + line + "\n") == std::string::npos) {
      if (!read_more()) return false;
    }
    return true;
  }
  bool wait_for(const std::string& part) {
    while (text_.find(part) == std::string::npos) {
      if (!read_more()) return false;
    }
    return true;
  }
  // The exit code, or 128 plus the signal that killed it.
  int wait() {
    while (read_more()) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  const std::string& text() const { return text_; }

 private:
  bool read_more() {
    std::array<char, 4096> room{};
    const ssize_t got = ::read(output_, room.data(), room.size());
    if (got > 0) text_.append(room.data(), static_cast<std::size_t>(got));
    return got > 0;
  }
  pid_t pid_ = -1;
  int output_ = -1;
  std::string text_;
};

std::vector<std::string> arguments(std::uint16_t port, std::uint32_t workers = 1) {
  return {"--listening-ip",
          "127.0.0.1",
          "--relay-ip",
          "127.0.0.1",
          "--listening-port",
          std::to_string(port),
          "--tls-listening-port",
          "0",
          "--static-auth-secret",
          "test secret",
          "--api-key",
          kApiKey,
          "--user",
          std::string(kUser) + ":" + kPassword,
          "--workers",
          std::to_string(workers)};
}

// The port of the line "UDP 127.0.0.1:40000", whatever stands between.
Address bound(const std::string& text, const std::string& label) {
  const auto line = text.find("\n" + label + " ");
  const auto at = text.find("127.0.0.1:", line);
  const auto end = text.find_first_not_of("0123456789.:", at);
  return Address::parse(text.substr(at, end - at)).value_or(Address{});
}

class Binary : public testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Workers, Binary, testing::Values(1u, 2u));

TEST_P(Binary, SaysReadyServesAndEndsWithZeroOnSigterm) {
  Process server(arguments(0, GetParam()));
  ASSERT_TRUE(server.wait_for_line("ready")) << server.text();
  TurnClient alice(over_udp(bound(server.text(), "UDP")), kUser, kPassword);
  EXPECT_EQ(alice.allocate(), 0);
  TurnClient bob(over_tcp(bound(server.text(), "TCP")), kUser, kPassword);
  EXPECT_EQ(bob.allocate(), 0);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0) << server.text();
}

TEST_P(Binary, EndsWithZeroOnSigint) {
  Process server(arguments(0, GetParam()));
  ASSERT_TRUE(server.wait_for_line("ready")) << server.text();
  server.signal(SIGINT);
  EXPECT_EQ(server.wait(), 0);
}

TEST_P(Binary, HangupAndTheCertificatesSignalNeverKillIt) {
  Process server(arguments(0, GetParam()));
  ASSERT_TRUE(server.wait_for_line("ready")) << server.text();
  for (const int number : {SIGHUP, SIGUSR2, SIGPIPE}) server.signal(number);
  EXPECT_TRUE(server.wait_for("reloaded"));
  EXPECT_TRUE(server.wait_for("there is no certificate to renew"));
  EXPECT_TRUE(TurnClient(over_udp(bound(server.text(), "UDP"))).binding());
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_P(Binary, DrainsWithZeroWhenNobodyIsThere) {
  Process server(arguments(0, GetParam()));
  ASSERT_TRUE(server.wait_for_line("ready")) << server.text();
  server.signal(SIGUSR1);
  EXPECT_EQ(server.wait(), 0) << server.text();
}

TEST_P(Binary, ASecondInstanceOnTheSamePortIsRefused) {
  Process first(arguments(0, GetParam()));
  ASSERT_TRUE(first.wait_for_line("ready")) << first.text();
  for (const char* label : {"UDP", "TCP"}) {
    const std::uint16_t port = bound(first.text(), label).port;
    Process second(arguments(port, GetParam()));
    EXPECT_EQ(second.wait(), server::kExitCannotListen) << second.text();
    EXPECT_NE(second.text().find(std::to_string(port)), std::string::npos) << second.text();
    EXPECT_EQ(second.text().find("\nready\n"), std::string::npos);
  }
}

TEST(BinaryErrors, AnUnreadableCertificateHasItsOwnExitCode) {
  auto wrong = arguments(0);
  wrong.insert(wrong.end(), {"--cert", "/nonexistent/cert.pem", "--pkey", "/nonexistent/key.pem"});
  Process server(wrong);
  EXPECT_EQ(server.wait(), server::kExitCertificate);
  EXPECT_NE(server.text().find("/nonexistent/"), std::string::npos) << server.text();
}

TEST(BinaryErrors, AnUnknownOptionIsRefusedWithTheNearestName) {
  Process server({"--listening-prot", "1"});
  EXPECT_EQ(server.wait(), server::kExitUsage);
  EXPECT_NE(server.text().find("listening-port"), std::string::npos) << server.text();
}

TEST(BinarySecrets, NeverAppearInWhatItPrintsOrInItsArguments) {
  Process server(arguments(0));
  ASSERT_TRUE(server.wait_for_line("ready"));
  TurnClient mallory(over_udp(bound(server.text(), "UDP")), kUser, "guess");
  EXPECT_EQ(mallory.allocate(), 401);
  server.signal(SIGUSR1);
  EXPECT_EQ(server.wait(), 0);
  EXPECT_EQ(server.text().find("test secret"), std::string::npos);
  EXPECT_EQ(server.text().find(kPassword), std::string::npos);
  EXPECT_EQ(server.text().find(kApiKey), std::string::npos);
}

}  // namespace
}  // namespace turnpike::loopback
