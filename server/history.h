// History: the last hour of the server's figures, one row every five seconds, for pages that are
// opened late. A ring of fixed size, made at start: kSamples rows of 8 bytes a figure, 132 KB and
// 5.8 KB more for each worker. Rows are numbered from 0 and never change. Main loop's thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "server/worker_sums.h"

namespace turnpike::server {

struct WorkerLoad {
  std::uint32_t busy = 0;  // of its thread since the sample before, in thousandths
  std::uint32_t allocations = 0;
};

// Rates are left to readers: they have the time of each row. A row that is lost loses nothing then.
struct Sample {
  // Now.
  std::uint64_t allocations = 0;
  std::uint64_t rooms = 0;
  std::uint64_t members = 0;
  std::uint64_t connections = 0;  // of HTTP and WebSocket
  // Since the server started.
  std::uint64_t packets_to_peers = 0;
  std::uint64_t packets_to_clients = 0;
  std::uint64_t bytes_to_peers = 0;
  std::uint64_t bytes_to_clients = 0;
  std::uint64_t malformed = 0;  // packets of clients that were not answered
  std::uint64_t throttled = 0;
  RelayDrops drops{};
  AuthFailures auth_failures{};
  std::vector<WorkerLoad> workers;
};

class History {
 public:
  static constexpr seconds kInterval{5};
  static constexpr std::size_t kSamples = 720;  // one hour
  static constexpr std::size_t kFixed = 10 + kRelayDropReasons.size() + kAuthFailureReasons.size();

  explicit History(std::size_t workers);

  // `at`: since 1970, by a clock that never jumps.
  void add(milliseconds at, const Sample& sample);
  std::uint64_t begin() const { return end_ < kSamples ? 0 : end_ - kSamples; }
  std::uint64_t end() const { return end_; }

  // A row that is kept, as JSON: [milliseconds,figure,...,[[busy,allocations],...]], in the order
  // of names(), which is a JSON list as well.
  std::string row(std::uint64_t number) const;
  static std::string names();

 private:
  std::size_t width() const { return 1 + kFixed + workers_; }

  const std::size_t workers_;
  std::vector<std::uint64_t> cells_;
  std::uint64_t end_ = 0;
};

}  // namespace turnpike::server
