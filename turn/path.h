// How a client is reached. Two paths are equal exactly when their five-tuples are equal (inside one
// worker), so a Path is the key of an allocation (RFC 8656 section 3.2).
#pragma once

#include <cstdint>

#include "base/address.h"
#include "base/hash.h"

namespace turnpike::turn {

enum class Transport : std::uint8_t { kUdp, kTcp, kTls, kDtls };
constexpr bool is_stream(Transport transport) {
  return transport == Transport::kTcp || transport == Transport::kTls;
}

struct Path {
  Transport transport = Transport::kUdp;
  std::uint16_t listener = 0;  // the worker's listening socket that the client reached
  Address local;               // the address it was sent to
  Address remote;              // the client, or its outermost NAT
  std::uint64_t stream = 0;    // names the connection (the driver's handle); 0 on UDP

  bool operator==(const Path&) const = default;
};

inline std::size_t hash_value(const Path& path) {
  return hash_mix(hash_value(path.remote), std::uint64_t{path.listener} ^ path.stream << 16);
}

}  // namespace turnpike::turn
