#include "tests/sim/nat.h"

#include <utility>

namespace turnpike::sim {

std::string_view name_of(NatKind kind) {
  switch (kind) {
    case NatKind::kFullCone:
      return "FullCone";
    case NatKind::kRestricted:
      return "Restricted";
    case NatKind::kPortRestricted:
      return "PortRestricted";
    case NatKind::kSymmetric:
      return "Symmetric";
  }
  return "?";
}

Nat::Nat(World& world, NatKind kind, const IpAddress& external, Deliver deliver)
    : world_(world),
      kind_(kind),
      external_(external),
      deliver_(std::move(deliver)),
      next_port_(static_cast<std::uint16_t>(20000 + world.random().below(20000))) {
  world.attach(external, *this);
}

void Nat::send(const Address& to, ByteView bytes) {
  const Address key = kind_ == NatKind::kSymmetric ? to : Address{};
  Mapping& mapping = mappings_[key];
  const MonoTime now = world_.now().mono;
  if (mapping.port == 0 || mapping.expires <= now) {
    mapping = Mapping{};
    mapping.port = next_port_++;
  }
  mapping.expires = now + kMappingLifetime;
  mapping.contacted.insert(to);
  world_.transmit({external_, mapping.port}, to, bytes);
}

void Nat::on_datagram(const Address& to, const Address& from, ByteView bytes) {
  for (const auto& [destination, mapping] : mappings_) {
    if (mapping.port != to.port || mapping.expires <= world_.now().mono) continue;
    if (passes(mapping, from)) deliver_(from, bytes);
    return;
  }
}

bool Nat::passes(const Mapping& mapping, const Address& from) const {
  switch (kind_) {
    case NatKind::kFullCone:
      return true;
    case NatKind::kRestricted: {
      for (const Address& contacted : mapping.contacted) {
        if (contacted.ip == from.ip) return true;
      }
      return false;
    }
    case NatKind::kPortRestricted:
    case NatKind::kSymmetric:
      return mapping.contacted.contains(from);
  }
  return false;
}

}  // namespace turnpike::sim
