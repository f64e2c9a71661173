// MediaPeer: somebody with a whole endpoint of ours, an IcePeer and a media::Session above it, who
// makes or takes an offer in SDP and then sends audio packets and messages.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ice/media/identity.h"
#include "ice/media/sdp.h"
#include "ice/media/session.h"
#include "tests/sim/ice_peer.h"

namespace turnpike::sim {

class MediaPeer : private IcePeer::Above, private media::Session::Outputs {
 public:
  static constexpr std::size_t kPayload = 160;
  static constexpr std::uint8_t kPayloadType = 111;

  MediaPeer(World& world, const IcePeer::Place& place, const RelayHost& relay,
            ice::Agent::Role role, const media::Identity& identity);

  IcePeer& ice() { return ice_; }
  media::Session& session() { return session_; }

  // The text of an offer; of an answer to theirs, which says who begins with DTLS.
  std::string offer();
  std::string answer(const std::string& offer, media::Setup setup);
  void take_answer(const std::string& answer);

  bool speak(std::uint16_t sequence);
  void open_channel();
  bool say(const std::string& text);

  // What happened.
  bool connected() const { return profile_.has_value(); }
  std::optional<media::SrtpProfile> profile() const { return profile_; }
  std::optional<media::DtlsTransport::Ending> ending() const { return ending_; }
  const std::set<std::uint16_t>& heard() const { return heard_; }
  const std::vector<std::string>& messages() const { return messages_; }
  std::uint32_t wrong() const { return wrong_; }
  bool channel_is_open() const { return channel_known_; }
  media::ChannelId channel() const { return channel_.value_or(0xffff); }

 private:
  // IcePeer::Above
  void on_path() override;
  void on_datagram(ByteView bytes) override;
  // media::Session::Outputs
  void send_datagram(ByteView datagram) override { ice_.send(datagram); }
  void on_connected(std::optional<media::SrtpProfile> profile) override { profile_ = profile; }
  void on_rtp(const media::RtpPacket& packet, ByteView bytes) override;
  void on_rtcp(ByteView) override {}
  void on_channel_open(media::ChannelId id, const media::ChannelOptions& options) override;
  void on_channel_message(media::ChannelId id, media::MessageKind kind, ByteView message) override;
  void on_channel_closed(media::ChannelId) override {}
  void on_channels_writable() override {}
  void on_ended(media::DtlsTransport::Ending ending) override { ending_ = ending; }

  void learn(const media::Description& theirs, media::Setup ours);
  void arm();

  World& world_;
  const media::Identity& identity_;
  IcePeer ice_;
  media::Session session_;
  const std::uint32_t ssrc_;
  std::optional<media::SrtpProfile> profile_;
  std::optional<media::DtlsTransport::Ending> ending_;
  std::set<std::uint16_t> heard_;
  std::vector<std::string> messages_;
  std::uint32_t wrong_ = 0;
  std::optional<media::ChannelId> channel_;
  bool channel_known_ = false;
  MonoTime armed_for_ = MonoTime::never();
};

}  // namespace turnpike::sim
