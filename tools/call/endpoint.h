// Endpoint: one member of a room and its peer connection, from the WebSocket to the media. It puts
// the state machines together: signaling, gatherer, ICE agent, DTLS-SRTP session. Owned by a call;
// its thread.
//
//   start -> on_connected -> start_media ... stop_media -> release -> is_released
//
// Nothing is destroyed inside a callback: the call does that at the end of a loop turn.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ice/agent.h"
#include "ice/gatherer.h"
#include "ice/media/sdp.h"
#include "ice/media/session.h"
#include "tools/call/desk.h"
#include "tools/call/network.h"
#include "tools/call/services.h"
#include "tools/call/signaling.h"
#include "tools/call/streams.h"
#include "tools/call/web.h"

namespace turnpike::call {

class Endpoint final : private Signaling::Outputs,
                       private WebSocket::Owner,
                       private Network::Owner,
                       private ice::Gatherer::Outputs,
                       private ice::Agent::Outputs,
                       private media::Session::Outputs {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_joined(std::uint32_t side) = 0;
    virtual void on_connected(std::uint32_t side) = 0;  // DTLS is up, media may flow
    virtual void on_first_media(std::uint32_t side) = 0;
    virtual void on_arrival(std::uint32_t side, Kind kind, std::uint64_t delay_ns) = 0;
    virtual void on_partner_left(std::uint32_t side) = 0;
    virtual void on_failed(std::uint32_t side, const std::string& cause) = 0;  // once
  };
  // Who makes the offer: in calls of our own whoever was there first, as our pages do it; as a
  // guest of strangers we do, for a built-in member waits for it.
  enum class Manners : std::uint8_t { kFirstOffers, kGuestOffers };
  struct Place {
    std::uint32_t side = 0;
    std::string room, name;
    Manners manners = Manners::kFirstOffers;
    std::array<std::uint32_t, kKinds> sends{}, expects{};  // flows
  };
  // When what was reached, nanoseconds of the loop's clock; 0: not yet.
  struct Milestones {
    std::uint64_t began = 0, joined = 0, gathered = 0, selected = 0, connected = 0, media = 0;
  };

  Endpoint(const Services& services, Owner& owner, Place place);
  ~Endpoint() override;

  void start(const Desk::Pass& pass);
  void start_media();
  void stop_media();
  // Media ends, allocations and the seat in the room are given back; is_released() when the server
  // has said so, or is not asked any more.
  void release();
  bool is_released() const { return over_; }

  const Milestones& milestones() const { return milestones_; }
  std::uint64_t sent(Kind kind) const { return sent_[static_cast<std::size_t>(kind)]; }
  const Received& received(Kind kind) const {
    return receivers_[static_cast<std::size_t>(kind)].received();
  }
  bool sends(Kind kind) const { return payload_types_[static_cast<std::size_t>(kind)].has_value(); }
  bool is_sending() const { return schedule_.has_value(); }
  // The longest that a packet left after its time: ever, and since this was asked last.
  std::uint64_t late_ns() const { return late_ns_; }
  std::uint64_t take_recent_late_ns() { return std::exchange(recent_late_ns_, 0); }
  std::optional<ice::Agent::Selected> selected() const;
  std::string profile() const { return profile_; }
  std::vector<media::InboundStatistics> inbound() const;
  std::optional<Duration> round_trip() const;
  // What it is waiting for, as a cause of failure.
  std::string waits_for() const;

 private:
  static constexpr milliseconds kPatience{300};
  static constexpr seconds kHeartbeat{20};
  static constexpr seconds kReleaseLimit{2};

  // WebSocket::Owner
  void on_web_open() override;
  void on_web_text(std::string_view text) override;
  void on_web_lost(const std::string& why) override;
  // Signaling::Outputs
  void say(std::string_view text) override { socket_.say(text); }
  void on_joined(std::vector<IceServer> servers) override;
  void on_partner(Signaling::Arrival ours) override;
  void on_description(Signaling::Type type, const std::string& sdp) override;
  void on_candidate(const std::string& line) override;
  void on_partner_left() override;
  void on_refused(const std::string& why) override { fail("signaling refused: " + why); }
  // Network::Owner
  void on_datagram(ice::Base host, const Address& from, ByteView bytes) override;
  void on_link_open(std::size_t server) override;
  void on_link_lost(std::size_t server, const std::string& why) override;
  void on_link_message(std::size_t server, ByteView message) override;
  // ice::Gatherer::Outputs
  void to_network(ice::Base host, const Address& to, ByteView bytes) override;
  void open_link(std::size_t server) override;
  void to_server(std::size_t server, ByteView message) override;
  void on_candidate(const ice::Candidate& candidate, ice::Base base) override;
  void on_relayed(ice::Base base, const Address& peer, ByteView data) override;
  void on_trouble(std::size_t server, ice::Gatherer::Trouble trouble, std::uint16_t code) override;
  void on_gathered() override;
  // ice::Agent::Outputs
  void send(ice::Base base, const Address& to, ByteView bytes) override;
  void on_pair(ice::Base base, const Address& remote) override;
  void on_selected(const ice::Agent::Selected& selected) override;
  void on_state(ice::Agent::State state) override;
  // media::Session::Outputs
  void send_datagram(ByteView datagram) override;
  void on_connected(std::optional<media::SrtpProfile> profile) override;
  void on_rtp(const media::RtpPacket& packet, ByteView bytes) override;
  void on_rtcp(ByteView) override {}
  void on_channel_open(media::ChannelId, const media::ChannelOptions&) override {}
  void on_channel_message(media::ChannelId, media::MessageKind, ByteView) override {}
  void on_channel_closed(media::ChannelId) override {}
  void on_channels_writable() override {}
  void on_ended(media::DtlsTransport::Ending ending) override;

  // endpoint_sdp.cc
  void make_agent(ice::Agent::Role role);
  void make_offer();
  void take_offer(const media::Description& offer);
  void take_answer(const media::Description& answer);
  void learn_remote(const media::Description& theirs, media::Setup ours);
  void learn_payload_types(const media::Description& answer);
  void tell_candidates();

  ice::Gatherer::Settings settings_of(const std::vector<IceServer>& servers);
  void take_packet(ice::Base base, const Address& from, ByteView bytes);
  void settle();  // what the state machines may not do inside of each other, and the alarm
  void on_time();
  void send_media();
  void send_packet(const DuePacket& packet);
  void finish_release();
  void fail(const std::string& cause);

  const Services& services_;
  Owner& owner_;
  const Place place_;
  WebSocket socket_;
  std::unique_ptr<Signaling> signaling_;
  Network network_;
  std::vector<IceServer> pass_servers_;
  std::vector<std::string> server_names_;  // of the gatherer's servers, for TLS
  std::unique_ptr<ice::Gatherer> gatherer_;
  std::unique_ptr<ice::Agent> agent_;
  std::unique_ptr<media::Session> session_;
  std::vector<std::pair<ice::Candidate, ice::Base>> candidates_;
  std::size_t told_candidates_ = 0;
  std::string mid_;
  std::string trouble_;  // the first that the gatherer told of

  Signaling::Arrival arrival_ = Signaling::Arrival::kFirst;
  bool partner_ = false;
  bool offered_ = false;     // and not answered
  bool described_ = false;   // ours has been sent
  bool negotiated_ = false;  // theirs has been taken
  media::Setup setup_ = media::Setup::kActPass;
  bool begin_session_ = false;
  std::optional<ice::Agent::Selected> prefer_;

  std::array<std::optional<std::uint8_t>, kKinds> payload_types_;
  std::array<std::uint32_t, kKinds> ssrcs_{};
  std::array<std::uint64_t, kKinds> sent_{};
  std::array<Receiver, kKinds> receivers_;
  std::optional<Schedule> schedule_;
  std::uint64_t late_ns_ = 0, recent_late_ns_ = 0;
  std::string profile_;
  Milestones milestones_;
  bool failed_ = false;
  bool releasing_ = false;
  bool over_ = false;
  MonoTime next_heartbeat_ = MonoTime::never();
  MonoTime release_limit_ = MonoTime::never();
  Alarm alarm_, media_alarm_;
};

}  // namespace turnpike::call
