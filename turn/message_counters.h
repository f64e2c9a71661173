// How many requests came, by transport and method, and how many answers left, by method and code:
// tables of Counters for the methods and codes that this server knows. Written by one thread, read
// by any.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/counters.h"
#include "stun/attributes.h"
#include "stun/message.h"
#include "turn/path.h"

namespace turnpike::turn {

class MessageCounters {
 public:
  static constexpr std::array kTransports = {Transport::kUdp, Transport::kTcp, Transport::kTls,
                                             Transport::kDtls};
  static constexpr std::array kMethods = {
      stun::Method::kBinding,        stun::Method::kAllocate,         stun::Method::kRefresh,
      stun::Method::kChannelBind,    stun::Method::kCreatePermission, stun::Method::kConnect,
      stun::Method::kConnectionBind,
  };
  static constexpr std::uint16_t kSuccess = 0;
  static constexpr std::array<std::uint16_t, 19> kCodes = {kSuccess, 300, 400, 401, 403, 405, 420,
                                                           437,      438, 440, 441, 442, 443, 446,
                                                           447,      486, 487, 500, 508};

  void count_request(Transport transport, std::uint16_t method) {
    if (const auto row = row_of(method); row < kMethods.size()) {
      requests_[static_cast<std::size_t>(transport)][row].add();
    }
  }
  // `code` is kSuccess or that of the ERROR-CODE.
  void count_answer(std::uint16_t method, std::uint16_t code) {
    const auto row = row_of(method);
    const auto column =
        static_cast<std::size_t>(std::find(kCodes.begin(), kCodes.end(), code) - kCodes.begin());
    if (row < kMethods.size() && column < kCodes.size()) answers_[row][column].add();
  }

  // Indices are those of the arrays above.
  std::uint64_t requests(std::size_t transport, std::size_t method) const {
    return requests_[transport][method].read();
  }
  std::uint64_t answers(std::size_t method, std::size_t code) const {
    return answers_[method][code].read();
  }

 private:
  static std::size_t row_of(std::uint16_t method) {
    const auto known = static_cast<stun::Method>(method);
    return static_cast<std::size_t>(std::find(kMethods.begin(), kMethods.end(), known) -
                                    kMethods.begin());
  }

  std::array<std::array<Counter, kMethods.size()>, kTransports.size()> requests_;
  std::array<std::array<Counter, kCodes.size()>, kMethods.size()> answers_;
};

// Live allocations by the transport over which they were made and the families that they were given
// then.
class AllocationCounters {
 public:
  static constexpr std::size_t kFamilies = 3;  // IPv4, IPv6, both
  static constexpr std::uint8_t kNone = 255;
  static constexpr std::uint8_t kind(Transport transport, bool ipv4, bool ipv6) {
    const std::size_t families = ipv4 && ipv6 ? 2 : ipv6 ? 1 : 0;
    return static_cast<std::uint8_t>(static_cast<std::size_t>(transport) * kFamilies + families);
  }
  void begin(std::uint8_t kind) {
    live_[kind].add();
    begun_[kind].add();
  }
  void end(std::uint8_t kind) {
    if (kind < live_.size()) live_[kind].subtract(1);
  }
  std::uint64_t live(std::size_t kind) const { return live_[kind].read(); }
  std::uint64_t begun(std::size_t kind) const { return begun_[kind].read(); }

 private:
  static constexpr std::size_t kKinds = MessageCounters::kTransports.size() * kFamilies;
  std::array<Counter, kKinds> live_;
  std::array<Counter, kKinds> begun_;
};

}  // namespace turnpike::turn
