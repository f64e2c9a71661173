// A guest of the echo endpoint, as a browser would be one: a full ICE agent and a media session
// that offer audio, video and data channels, over a network that is a queue. For tests; single
// thread.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "ice/agent.h"
#include "ice/media/session.h"
#include "server/echo_endpoint.h"

namespace turnpike::server::testing {

using nlohmann::json;

inline const Address kEcho = *Address::parse("198.51.100.1:50000");
inline constexpr std::uint32_t kAudioSsrc = 0x1000, kVideoSsrc = 0x2000;
inline constexpr std::uint8_t kOpus = 111, kVp8 = 96;

class TestGuest;

// The endpoint, its guests, and what flies between them. A datagram arrives when pass() says so.
struct EchoWorld final : EchoEndpoint::Network {
  explicit EchoWorld(EchoEndpoint::Limits limits = {})
      : identity(media::Identity::create()),
        endpoint(limits, {kEcho}, {*identity, random, *this}) {}

  void send(ice::Base base, const Address& to, ByteView datagram) override {
    EXPECT_EQ(base, 0u);
    spoken_to.insert(to);
    back.push_back({to, {datagram.begin(), datagram.end()}});
  }
  bool is_relayed_here(const Address& remote) const override { return relayed.contains(remote); }

  struct Datagram {
    Address address;  // of the guest
    std::vector<std::uint8_t> bytes;
  };
  void pass(Duration duration = milliseconds(0));
  bool until(const std::function<bool()>& done, Duration patience = seconds(5));

  SeededRandom random{7};
  std::unique_ptr<media::Identity> identity;
  Tick now{{seconds(1000)}, {seconds(1767225600)}};
  std::deque<Datagram> there, back;
  std::set<Address> relayed, spoken_to;
  std::vector<TestGuest*> guests;
  // Of datagrams to the echo, from then on; false loses it.
  std::function<bool(ByteView)> lets_pass = [](ByteView) { return true; };
  EchoEndpoint endpoint;
};

class TestGuest final : private ice::Agent::Outputs, private media::Session::Outputs {
 public:
  TestGuest(EchoWorld& world, EchoEndpoint::Guest id, std::string_view address);
  ~TestGuest() override;

  // The part of the hub.
  void join() { world_.endpoint.on_guest(world_.now, id, address.ip); }
  void say(const json& data) { world_.endpoint.on_message(world_.now, id, data.dump()); }

  media::Description description() const;
  std::string offer_text() const { return media::to_sdp(description()); }
  void offer() { say({{"description", {{"type", "offer"}, {"sdp", offer_text()}}}}); }
  void take(const json& word);
  void restart_ice();
  bool connected() const { return media_->state() == media::Session::State::kConnected; }
  bool send_rtp(std::uint8_t payload_type, std::uint32_t ssrc, std::uint16_t sequence,
                std::string_view payload);
  media::Session& media() { return *media_; }
  std::uint32_t echoed_ssrc(media::MediaKind kind) const;

  void on_datagram(ByteView datagram);
  void on_time();
  MonoTime next_deadline() const;

  const EchoEndpoint::Guest id;
  const Address address;
  media::Setup setup = media::Setup::kActPass;
  bool wrong_fingerprint = false;
  media::Description answer;
  std::vector<json> words;
  struct Packet {
    std::uint32_t ssrc;
    std::uint8_t payload_type;
    std::uint16_t sequence;
    std::string payload;
  };
  std::vector<Packet> packets;
  std::vector<media::RtcpMessage> feedback;
  struct Message {
    media::ChannelId channel;
    media::MessageKind kind;
    std::string text;
  };
  std::vector<Message> messages;
  std::optional<media::DtlsTransport::Ending> ending;

 private:
  void send(ice::Base, const Address& to, ByteView bytes) override;
  void on_pair(ice::Base, const Address&) override {}
  void on_selected(const ice::Agent::Selected&) override { media_->start(world_.now); }
  void on_state(ice::Agent::State) override {}
  void send_datagram(ByteView datagram) override { agent_->send(datagram, *this); }
  void on_connected(std::optional<media::SrtpProfile>) override {}
  void on_rtp(const media::RtpPacket& packet, ByteView bytes) override;
  void on_rtcp(ByteView compound) override;
  void on_channel_open(media::ChannelId, const media::ChannelOptions&) override {}
  void on_channel_message(media::ChannelId id, media::MessageKind kind, ByteView message) override;
  void on_channel_closed(media::ChannelId) override {}
  void on_channels_writable() override {}
  void on_ended(media::DtlsTransport::Ending why) override { ending = why; }

  EchoWorld& world_;
  std::unique_ptr<media::Identity> identity_;
  std::unique_ptr<ice::Agent> agent_;
  std::unique_ptr<media::Session> media_;
};

}  // namespace turnpike::server::testing
