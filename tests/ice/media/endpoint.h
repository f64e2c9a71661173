// Endpoint: a media::Session in a simulated world, with everything that it said written down. Two
// of them are a call whose path exists already.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ice/media/session.h"
#include "tests/ice/media/virtual_clock.h"
#include "tests/sim/world.h"

namespace turnpike::media {

class Endpoint final : public sim::Node, private Session::Outputs {
 public:
  struct Message {
    ChannelId id;
    MessageKind kind;
    std::string text;
    bool operator==(const Message&) const = default;
  };

  Endpoint(sim::World& world, Address own, Address other, const Identity& identity,
           Session::Settings settings = {});

  void connect(Session::Remote remote);
  bool send_rtp(std::uint16_t sequence, std::uint32_t timestamp, std::uint32_t ssrc,
                std::size_t size = 100);
  std::optional<ChannelId> open(const std::string& label, ChannelOptions options = {});
  bool say(ChannelId id, std::string_view text);
  bool send_binary(ChannelId id, std::string_view bytes);
  Tick now() const { return world_.now(); }
  Session& session() { return session_; }
  void arm();  // after a call to the session

  // What happened.
  bool connected = false;
  std::optional<SrtpProfile> profile;
  std::optional<DtlsTransport::Ending> ended;
  std::vector<std::uint16_t> rtp;  // sequence numbers
  std::vector<RtcpMessage> rtcp;
  std::map<ChannelId, ChannelOptions> open_channels;
  std::vector<ChannelId> closed_channels;
  std::vector<Message> messages;
  std::uint32_t writable = 0;
  std::vector<std::vector<std::uint8_t>> sent;  // the last datagrams
  std::size_t biggest = 0;
  bool echo = false;
  bool muted = false;  // what is sent is lost

 private:
  void on_datagram(const Address& to, const Address& from, ByteView bytes) override;
  void send_datagram(ByteView datagram) override;
  void on_connected(std::optional<SrtpProfile> chosen) override;
  void on_rtp(const RtpPacket& packet, ByteView bytes) override;
  void on_rtcp(ByteView compound) override;
  void on_channel_open(ChannelId id, const ChannelOptions& options) override;
  void on_channel_message(ChannelId id, MessageKind kind, ByteView message) override;
  void on_channel_closed(ChannelId id) override;
  void on_channels_writable() override { ++writable; }
  void on_ended(DtlsTransport::Ending ending) override;

  sim::World& world_;
  const Address own_, other_;
  Session session_;
  MonoTime armed_for_ = MonoTime::never();
};

// Both ends in one world.
struct Call {
  explicit Call(std::uint64_t seed, sim::LinkQuality quality, Session::Settings ann_settings = {},
                Session::Settings bob_settings = {});
  // Ann is DTLS client.
  void connect();
  void run(Duration duration) { world.run_for(duration); }

  static const Identity& identity(int of);

  sim::World world;
  VirtualClock clock;
  Endpoint ann, bob;
};

}  // namespace turnpike::media
