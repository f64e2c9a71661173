// Nat: the box before a client, in the four classic kinds (RFC 3489's names; in RFC 4787's words:
// endpoint-independent or address-and-port-dependent mapping, with three kinds of filtering).
// Mappings die after a while without outgoing packets, as they do in homes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string_view>

#include "tests/sim/world.h"

namespace turnpike::sim {

enum class NatKind : std::uint8_t { kFullCone, kRestricted, kPortRestricted, kSymmetric };
inline constexpr NatKind kNatKinds[] = {NatKind::kFullCone, NatKind::kRestricted,
                                        NatKind::kPortRestricted, NatKind::kSymmetric};
std::string_view name_of(NatKind kind);

class Nat : public Node {
 public:
  using Deliver = std::function<void(const Address& from, ByteView bytes)>;
  static constexpr seconds kMappingLifetime{120};

  // One client with one socket lives behind it; what passes the filter goes to `deliver`.
  Nat(World& world, NatKind kind, const IpAddress& external, Deliver deliver);

  void send(const Address& to, ByteView bytes);
  void on_datagram(const Address& to, const Address& from, ByteView bytes) override;

 private:
  struct Mapping {
    std::uint16_t port = 0;
    MonoTime expires;
    std::set<Address> contacted;
  };
  bool passes(const Mapping& mapping, const Address& from) const;

  World& world_;
  NatKind kind_;
  IpAddress external_;
  Deliver deliver_;
  std::map<Address, Mapping> mappings_;  // by destination; one entry for all unless symmetric
  std::uint16_t next_port_;
};

}  // namespace turnpike::sim
