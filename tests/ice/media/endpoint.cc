#include "tests/ice/media/endpoint.h"

#include <algorithm>

#include "base/check.h"

namespace turnpike::media {
namespace {

const Address kAnn{IpAddress::v4(192, 0, 2, 1), 1000};
const Address kBob{IpAddress::v4(192, 0, 2, 2), 2000};

}  // namespace

Endpoint::Endpoint(sim::World& world, Address own, Address other, const Identity& identity,
                   Session::Settings settings)
    : world_(world),
      own_(own),
      other_(other),
      session_(identity, world.random(), std::move(settings), *this) {
  world_.attach(own_.ip, *this);
}

void Endpoint::connect(Session::Remote remote) {
  session_.set_clock_rate(96, 90'000);
  session_.set_remote(now(), std::move(remote));
  session_.start(now());
  arm();
}

void Endpoint::arm() {
  const MonoTime next = session_.next_deadline();
  if (next == MonoTime::never() || next >= armed_for_) return;
  armed_for_ = next;
  world_.at(std::max(next, now().mono), [this, next] {
    if (armed_for_ == next) armed_for_ = MonoTime::never();
    if (session_.next_deadline() <= now().mono) session_.on_time(now());
    arm();
  });
}

bool Endpoint::send_rtp(std::uint16_t sequence, std::uint32_t timestamp, std::uint32_t ssrc,
                        std::size_t size) {
  const std::vector<std::uint8_t> payload(size, 7);
  std::vector<std::uint8_t> room(2000);
  Writer out(room);
  RtpPacket packet;
  packet.payload_type = 96;
  packet.sequence = sequence;
  packet.timestamp = timestamp;
  packet.ssrc = ssrc;
  packet.payload = payload;
  CHECK(write_rtp(out, packet));
  const bool sent_it = session_.send_rtp(now(), out.written());
  arm();
  return sent_it;
}

std::optional<ChannelId> Endpoint::open(const std::string& label, ChannelOptions options) {
  options.label = label;
  const auto id = session_.open_channel(now(), options);
  arm();
  return id;
}

bool Endpoint::say(ChannelId id, std::string_view text) {
  const bool said = session_.send_message(now(), id, MessageKind::kText, as_bytes(text));
  arm();
  return said;
}

bool Endpoint::send_binary(ChannelId id, std::string_view bytes) {
  const bool said = session_.send_message(now(), id, MessageKind::kBinary, as_bytes(bytes));
  arm();
  return said;
}

void Endpoint::on_datagram(const Address&, const Address&, ByteView bytes) {
  session_.on_datagram(now(), bytes);
  arm();
}

void Endpoint::send_datagram(ByteView datagram) {
  biggest = std::max(biggest, datagram.size());
  sent.emplace_back(datagram.begin(), datagram.end());
  if (sent.size() > 64) sent.erase(sent.begin());
  if (!muted) world_.transmit(own_, other_, datagram);
}

void Endpoint::on_connected(std::optional<SrtpProfile> chosen) {
  CHECK(!connected);
  connected = true;
  profile = chosen;
}

void Endpoint::on_rtp(const RtpPacket& packet, ByteView bytes) {
  rtp.push_back(packet.sequence);
  if (!echo) return;
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  set_rtp_ssrc(copy, packet.ssrc + 1);
  session_.send_rtp(now(), copy);
}

void Endpoint::on_rtcp(ByteView compound) {
  const auto parsed = parse_rtcp(compound);
  CHECK(parsed);
  rtcp.insert(rtcp.end(), parsed->begin(), parsed->end());
}

void Endpoint::on_channel_open(ChannelId id, const ChannelOptions& options) {
  CHECK(!open_channels.contains(id));
  open_channels[id] = options;
}

void Endpoint::on_channel_message(ChannelId id, MessageKind kind, ByteView message) {
  messages.push_back({id, kind, std::string(as_text(message))});
  if (echo) session_.send_message(now(), id, kind, message);
}

void Endpoint::on_channel_closed(ChannelId id) {
  open_channels.erase(id);
  closed_channels.push_back(id);
}

void Endpoint::on_ended(DtlsTransport::Ending ending) {
  CHECK(!ended);
  ended = ending;
}

const Identity& Call::identity(int of) {
  static const std::unique_ptr<Identity> ann = Identity::create();
  static const std::unique_ptr<Identity> bob = Identity::create();
  return of == 0 ? *ann : *bob;
}

Call::Call(std::uint64_t seed, sim::LinkQuality quality, Session::Settings ann_settings,
           Session::Settings bob_settings)
    : world(seed, quality),
      clock(world),
      ann(world, kAnn, kBob, identity(0), std::move(ann_settings)),
      bob(world, kBob, kAnn, identity(1), std::move(bob_settings)) {}

void Call::connect() {
  ann.connect({.role = DtlsRole::kClient,
               .fingerprints = {identity(1).fingerprint()},
               .channels = true,
               .max_message_size = 262144});
  bob.connect({.role = DtlsRole::kServer,
               .fingerprints = {identity(0).fingerprint()},
               .channels = true,
               .max_message_size = 262144});
}

}  // namespace turnpike::media
