// The PROXY protocol, versions 1 and 2 (haproxy's specification): what a load balancer says of a
// connection before its first byte. Bytes go in as they come, cut anywhere; never more than the
// header is taken. A value; any thread.
//
//   1:  "PROXY TCP4 192.0.2.1 203.0.113.10 50000 3478\r\n", or "PROXY UNKNOWN ...\r\n"
//   2:  signature (12) | version, command | family, transport | length (2) | addresses | TLVs
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/bytes.h"

namespace turnpike {

class ProxyHeader {
 public:
  static constexpr std::size_t kMaxLine = 107;          // of version 1, with its CRLF
  static constexpr std::size_t kMaxBinary = 16 + 4096;  // of version 2, with its TLVs

  enum class Result : std::uint8_t {
    kMore,
    kDone,
    kInvalid,
  };
  // Sets how many of the bytes belong to the header; after kDone the rest is the connection's.
  Result feed(ByteView bytes, std::size_t& taken);

  // After kDone: who the client is. Nothing when the header says that the connection is the load
  // balancer's own (LOCAL, UNKNOWN) or of a family that is none of ours.
  const std::optional<Address>& client() const { return client_; }

 private:
  enum class Version : std::uint8_t { kUndecided, kLine, kBinary };
  Result take(std::uint8_t byte);
  Result decide();
  Result read_line();
  Result read_binary();

  Version version_ = Version::kUndecided;
  std::array<std::uint8_t, kMaxLine> head_{};  // all of a line, or the part that has addresses
  std::size_t size_ = 0;                       // bytes seen
  std::size_t wanted_ = 16;                    // of version 2: the whole header's size
  std::optional<Address> client_;
};

}  // namespace turnpike
