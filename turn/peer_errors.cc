// What ICMP says of datagrams to a peer, told to the client (RFC 8656 section 11.5).
#include <algorithm>
#include <array>

#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;

// A client that floods a closed port shall not be flooded with answers.
constexpr Duration kIcmpInterval = milliseconds(100);
constexpr Duration kIcmpBurst = kIcmpInterval * 20;

// Those that say a datagram was lost on its way: unreachable and time exceeded; for IPv6
// unreachable, too big and time exceeded.
bool is_told(std::uint8_t type, Family family) {
  return family == Family::kIPv4 ? type == 3 || type == 11 : type >= 1 && type <= 3;
}

// Section 18.13: two reserved bytes, type, code, and the MTU of the next hop or zero.
std::array<std::uint8_t, 8> icmp_value(const IcmpError& error) {
  std::array<std::uint8_t, 8> value{};
  Writer out(value);
  out.u16(0);
  out.u8(error.type);
  out.u8(error.code);
  out.u32(error.mtu);
  return value;
}

}  // namespace

void Server::Core::on_peer_error(Tick now, std::uint64_t owner, const Address& peer,
                                 const IcmpError& error, Sink& sink) {
  Allocation* allocation = allocations_.find(Handle<Allocation>::unpack(owner));
  if (allocation == nullptr || !is_told(error.type, peer.family())) return;
  const Permission* permission = allocation->permissions.find_live(peer.ip, now.mono);
  if (permission == nullptr) return;
  const MonoTime told_until = std::max(allocation->icmp_told_until, now.mono) + kIcmpInterval;
  if (told_until - now.mono > kIcmpBurst) return;
  allocation->icmp_told_until = told_until;

  Address shown = peer;
  if (permission->shown_as_external) shown.ip = settings_->external.to_external(peer.ip);
  Room room;
  stun::Builder builder(room, stun::Class::kIndication, stun::Method::kData, next_indication_id());
  builder.xor_address(Attribute::kXorPeerAddress, shown).bytes(Attribute::kIcmp, icmp_value(error));
  statistics_.icmp_indications.add();
  sink.to_client(allocation->path, Parts{builder.finish(), {}, 0});
}

}  // namespace turnpike::turn
