// The hot paths and nothing else: client to peer as ChannelData or Send indications, peer to client
// as ChannelData or Data indications. Nothing here allocates, locks, logs or throws, and a train
// stays a train: one look-up and one permission check for all of its datagrams.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "turn/channel_data.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;

constexpr std::uint16_t kSendIndication = 0x0016;
constexpr std::uint16_t kDataIndication = 0x0017;
constexpr std::uint8_t kFamilyIPv4 = 1;
constexpr std::uint8_t kFamilyIPv6 = 2;
constexpr std::uint16_t kIPv4AddressSize = 8;  // of the attribute's value
constexpr std::uint16_t kIPv6AddressSize = 20;
constexpr std::uint16_t kPortMask = stun::kMagicCookie >> 16;

constexpr std::uint16_t number(Attribute attribute) {
  return static_cast<std::uint16_t>(attribute);
}

// IPv6 addresses are XORed with the cookie and the transaction id (RFC 8489 section 14.2), which
// are bytes 4 to 19 of the message.
IpAddress unmask_ipv6(ByteView ip, ByteView cookie_and_id) {
  std::array<std::uint8_t, 16> plain{};
  std::transform(ip.begin(), ip.end(), cookie_and_id.begin(), plain.begin(),
                 [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>(a ^ b); });
  return IpAddress::v6(plain);
}

// A Send indication as clients write it: XOR-PEER-ADDRESS, then DATA, then nothing. Others take the
// general way through MessageView, with the same result.
struct PlainSend {
  Address peer;
  std::uint32_t data_offset = 0;
  std::uint32_t data_length = 0;
};

std::optional<PlainSend> read_plain_send(ByteView message) {
  Reader in(message);
  if (in.u16() != kSendIndication) return std::nullopt;
  const std::size_t length = in.u16();
  if (in.u32() != stun::kMagicCookie) return std::nullopt;
  in.skip(sizeof(stun::TransactionId));
  if (length != in.remaining() || in.u16() != number(Attribute::kXorPeerAddress)) {
    return std::nullopt;
  }
  const std::uint16_t size = in.u16();
  in.skip(1);
  const std::uint8_t family = in.u8();
  PlainSend send;
  send.peer.port = static_cast<std::uint16_t>(in.u16() ^ kPortMask);
  if (family == kFamilyIPv4 && size == kIPv4AddressSize) {
    send.peer.ip = IpAddress::v4(in.u32() ^ stun::kMagicCookie);
  } else if (family == kFamilyIPv6 && size == kIPv6AddressSize) {
    send.peer.ip = unmask_ipv6(in.bytes(16), message.subspan(4, 16));
  } else {
    return std::nullopt;
  }
  if (in.u16() != number(Attribute::kData)) return std::nullopt;
  send.data_length = in.u16();
  send.data_offset = static_cast<std::uint32_t>(in.position());
  const bool ends_here = in.remaining() == send.data_length + padding_to_four(send.data_length);
  return in.ok() && ends_here ? std::optional(send) : std::nullopt;
}

// A Data indication as far as its payload:
//
//   STUN header (20) | XOR-PEER-ADDRESS (4 + 8 or 20) | DATA type, length | payload | padding
class DataIndicationHead {
 public:
  DataIndicationHead(const stun::TransactionId& id, const Address& peer, std::uint32_t payload) {
    const bool is_v4 = peer.ip.is_v4();
    const std::uint16_t address = is_v4 ? kIPv4AddressSize : kIPv6AddressSize;
    const std::size_t length = 4u + address + 4u + payload + padding_to_four(payload);
    fits_ = length <= 0xFFFF;
    Writer out(room_);
    out.u16(kDataIndication);
    out.u16(static_cast<std::uint16_t>(length));
    out.u32(stun::kMagicCookie);
    out.bytes(id);
    out.u16(number(Attribute::kXorPeerAddress));
    out.u16(address);
    out.u8(0);
    out.u8(is_v4 ? kFamilyIPv4 : kFamilyIPv6);
    out.u16(static_cast<std::uint16_t>(peer.port ^ kPortMask));
    if (is_v4) {
      out.u32(peer.ip.v4_host_order() ^ stun::kMagicCookie);
    } else {
      out.bytes(unmask_ipv6(peer.ip.bytes(), ByteView(room_).subspan(4, 16)).bytes());
    }
    out.u16(number(Attribute::kData));
    out.u16(static_cast<std::uint16_t>(payload));
    size_ = out.size();
  }
  // Only an IPv6 datagram of the largest size does not.
  bool fits() const { return fits_; }
  ByteView bytes() const { return ByteView(room_).first(size_); }

 private:
  std::array<std::uint8_t, stun::kHeaderSize + 4 + kIPv6AddressSize + 4> room_;
  std::size_t size_ = 0;
  bool fits_ = false;
};

}  // namespace

std::uint32_t Server::Core::relay_channel_data(Tick now, const Path& path, const Run& run,
                                               std::uint32_t first, Sink& sink) {
  const ChannelDataTrain train = read_channel_data_train(run, first);
  const std::uint32_t count = train.payloads.count;
  if (!train.header.whole) {
    statistics_.dropped_malformed.add();
    return count;
  }
  Allocation* allocation = allocations_.find(path);
  if (allocation == nullptr) allocation = settle_by_data(path, sink);
  if (allocation == nullptr) {
    statistics_.dropped_no_allocation.add(count);
    return count;
  }
  // The channel is enough: it lives for ten minutes, and only what comes in needs the permission
  // (RFC 8656 section 12.6).
  const Channel* channel = allocation->channels.find_live(train.header.number, now.mono);
  if (channel == nullptr) {
    statistics_.dropped_no_channel.add(count);
    return count;
  }
  if (channel->own && !live_relays_.is_live(channel->peer)) {
    statistics_.dropped_dead_relay.add(count);
    return count;
  }
  if (!may_relay(*allocation, Direction::kToPeer, train.payloads, now.mono)) return count;
  count_to_peer(*allocation, train.payloads);
  sink.to_peer(allocation->leg(channel->peer.family())->relay, channel->peer, train.payloads);
  return count;
}

std::uint32_t Server::Core::relay_send_indications(Tick now, const Path& path, const Run& run,
                                                   std::uint32_t first, Sink& sink) {
  const auto send = read_plain_send(run.segment(first));
  if (!send) return 0;
  Run payloads = run.slice(first, 1);
  payloads.size = payloads.last_size = send->data_length;
  payloads.data += send->data_offset;
  // As with ChannelData: equal payloads to one peer stay a train, and one shorter may end it.
  while (first + payloads.count < run.count && payloads.last_size == payloads.size) {
    const auto next = read_plain_send(run.segment(first + payloads.count));
    const bool fits = next && next->peer == send->peer && next->data_length > 0 &&
                      next->data_length <= payloads.size;
    if (!fits) break;
    payloads.last_size = next->data_length;
    ++payloads.count;
  }
  relay_to_peer(now, path, send->peer, payloads, sink);
  return payloads.count;
}

// RFC 8656 section 11.2: whatever is wrong with it, a Send indication is dropped in silence.
void Server::Core::relay_send_indication(Tick now, const Path& path,
                                         const stun::MessageView& message, const Run& carrier,
                                         Sink& sink) {
  const auto peer = message.xor_address(Attribute::kXorPeerAddress);
  const auto data = message.value(Attribute::kData);
  if (!peer || !data || unsupported_attributes(message).count > 0) {
    return statistics_.dropped_malformed.add();
  }
  Run payload = Run::one(*data);
  payload.traffic_class = carrier.traffic_class;
  payload.dont_fragment =
      message.has(Attribute::kDontFragment) ? DontFragment::kSet : carrier.dont_fragment;
  relay_to_peer(now, path, *peer, payload, sink);
}

void Server::Core::relay_to_peer(Tick now, const Path& path, const Address& peer,
                                 const Run& payloads, Sink& sink) {
  Allocation* allocation = allocations_.find(path);
  if (allocation == nullptr) allocation = settle_by_data(path, sink);
  if (allocation == nullptr) return statistics_.dropped_no_allocation.add(payloads.count);
  if (peer.port == 0) return statistics_.dropped_malformed.add(payloads.count);
  const Address local{settings_->external.to_local(peer.ip), peer.port};
  const Permission* permission = allocation->permissions.find_live(local.ip, now.mono);
  if (permission == nullptr) return statistics_.dropped_no_permission.add(payloads.count);
  if (permission->own && !live_relays_.is_live(local)) {
    return statistics_.dropped_dead_relay.add(payloads.count);
  }
  if (!may_relay(*allocation, Direction::kToPeer, payloads, now.mono)) return;
  count_to_peer(*allocation, payloads);
  sink.to_peer(allocation->leg(local.family())->relay, local, payloads);
}

void Server::Core::on_peer(Tick now, std::uint64_t owner, const Address& peer, const Run& run,
                           Sink& sink) {
  Allocation* allocation = allocations_.find(Handle<Allocation>::unpack(owner));
  if (allocation == nullptr) return statistics_.dropped_no_allocation.add(run.count);
  const Permission* permission = allocation->permissions.find_live(peer.ip, now.mono);
  if (permission == nullptr) return statistics_.dropped_no_permission.add(run.count);
  if (permission->own && !live_relays_.is_live(peer)) {
    return statistics_.dropped_dead_relay.add(run.count);
  }
  if (!may_relay(*allocation, Direction::kToClient, run, now.mono)) return;
  const PeerToClient way{*allocation, *permission, allocation->channels.find_live(peer, now.mono),
                         peer};
  if (run.count > 1 && run.last_size != run.size) {
    send_to_client(way, run.slice(0, run.count - 1), sink);
    send_to_client(way, run.slice(run.count - 1, 1), sink);
  } else {
    send_to_client(way, run, sink);
  }
}

// `run` holds datagrams of one size, so one head fits all.
void Server::Core::send_to_client(const PeerToClient& way, const Run& run, Sink& sink) {
  const std::uint32_t size = run.last_size;
  Parts parts;
  parts.body = run;
  parts.body.size = size;
  if (way.channel != nullptr) {
    const auto head = channel_data_header(way.channel->number, static_cast<std::uint16_t>(size));
    parts.head = head;
    if (is_stream(way.allocation.path.transport)) {
      parts.pad = static_cast<std::uint8_t>(padding_to_four(size));
    }
    sink.to_client(way.allocation.path, parts);
  } else {
    Address shown = way.peer;
    if (way.permission.shown_as_external) shown.ip = settings_->external.to_external(shown.ip);
    const DataIndicationHead head(next_indication_id(), shown, size);
    if (!head.fits()) return statistics_.dropped_malformed.add(run.count);
    parts.head = head.bytes();
    // The padding of an attribute belongs to the message (RFC 8489 section 14).
    parts.pad = static_cast<std::uint8_t>(padding_to_four(size));
    sink.to_client(way.allocation.path, parts);
  }
  count_to_client(way.allocation, run);
}

// An allocation that has used up its own share takes nothing of the server's.
bool Server::Core::is_within_bandwidth(Allocation& allocation, Direction direction, const Run& run,
                                       MonoTime now) {
  const auto way = static_cast<std::size_t>(direction);
  const std::uint64_t bytes = run.total_bytes();
  Meter& meter = allocation.meters[way];
  if (settings_->max_bps != 0 && !meter.has_room(now)) {
    statistics_.dropped_over_max_bps.add(run.count);
    return false;
  }
  if (bandwidth_ != nullptr && !leases_[way].spend(*bandwidth_, direction, bytes, now)) {
    statistics_.dropped_over_capacity.add(run.count);
    return false;
  }
  if (settings_->max_bps != 0) meter.take(bytes, settings_->max_bps, now);
  return true;
}

// Indications have no transaction to protect: their ids must only differ (RFC 8489 section 5).
stun::TransactionId Server::Core::next_indication_id() {
  stun::TransactionId id;
  Writer out(id);
  ++indications_;
  out.u64(hash_mix(indication_seed_, indications_));
  out.u32(static_cast<std::uint32_t>(indications_));
  return id;
}

}  // namespace turnpike::turn
