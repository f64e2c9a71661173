// EchoSession: one guest of the echo endpoint, as a state machine without sockets and clocks. It
// answers the offers that come by signaling (the shapes are in docs/signaling.md), is the ICE-lite
// end of one peer connection, and returns what comes in:
//
//   RTP       as it came, with an SSRC of ours in place of the sender's
//   feedback  NACK, PLI and FIR about what was returned become requests for what was sent: with the
//             sequence numbers kept, the sender's own buffer and encoder answer for both ways
//   channels  text as text, binary as binary
//
// and tells each second what it measured. Reports (SR, RR) are the media session's. Owned by an
// EchoEndpoint; the hub loop's thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"
#include "ice/agent.h"
#include "ice/media/identity.h"
#include "ice/media/sdp.h"
#include "ice/media/session.h"
#include "turn/bandwidth.h"

namespace turnpike::server {

class EchoSession final : private ice::Agent::Outputs, private media::Session::Outputs {
 public:
  static constexpr std::uint64_t kMaxBps = 2'500'000;          // bits a second that are returned
  static constexpr std::size_t kMaxWaitingBytes = 256 * 1024;  // of messages that cannot leave yet
  static constexpr std::size_t kMaxWaitingMessages = 1024;
  static constexpr std::size_t kMaxPaths = 8;  // remote addresses that are listened to
  static constexpr std::size_t kMaxSources = 32;
  static constexpr seconds kStatisticsInterval{1};
  // Channels that both sides may agree on without a word ("negotiated").
  static constexpr std::array<media::ChannelId, 4> kAgreedChannels = {0, 2, 4, 6};

  // Why a connection is over; the guest may offer another. The words are documented.
  enum class Closing : std::uint8_t {
    kClosed,  // by the guest
    kPathLost,
    kFingerprintRefused,
    kHandshakeFailed,
  };

  // What the sessions of an endpoint share and call; outlives them. Nothing here may call back.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void send(ice::Base base, const Address& to, ByteView datagram) = 0;
    virtual void say(std::string data) = 0;  // JSON text for the guest
    // From now on connectivity checks with this fragment are this session's, and no others.
    virtual void listen_for(std::string_view fragment) = 0;
    // And from now on datagrams of this path.
    virtual void listen_to(ice::Base base, const Address& remote) = 0;
    // None of them any more.
    virtual void forget() = 0;
    // Whether that is a live relayed transport address of this server.
    virtual bool is_relayed_here(const Address& remote) const = 0;
  };
  struct Shared {
    const media::Identity& identity;
    Random& random;
    const std::vector<Address>& addresses;  // of ours, as the world sees them, by ice::Base
  };
  EchoSession(Tick now, seconds time_limit, const Shared& shared, Owner& owner);
  ~EchoSession() override;

  // JSON text of the guest: {"description":...} or {"candidate":...}; others are not for us.
  void on_message(Tick now, std::string_view data);
  // A Binding request that names our fragment.
  void on_check(Tick now, ice::Base base, const Address& from, ByteView message);
  // From a path that listen_to() told of.
  void on_datagram(Tick now, ByteView datagram);
  void on_time(Tick now);
  MonoTime next_deadline() const;
  // Says goodbye on the path.
  void close(Tick now);

  // The time limit is reached, and the guest has been told. To be destroyed.
  bool is_over() const { return over_; }

 private:
  // An RTP stream of the guest, and what its echo is called.
  struct Route {
    std::uint32_t theirs = 0;
    std::uint32_t ours = 0;
    media::MediaKind kind = media::MediaKind::kAudio;
    bool returns = false;
  };
  // A media section of the answer.
  struct Section {
    std::string mid;
    media::MediaKind kind = media::MediaKind::kAudio;
    std::uint32_t ssrc = 0;  // ours
    bool returns = false;
    std::vector<std::uint8_t> payload_types;
  };
  struct Path {
    ice::Base base = 0;
    Address remote;
    bool operator==(const Path&) const = default;
  };
  struct Waiting {
    media::ChannelId channel;
    media::MessageKind kind;
    std::vector<std::uint8_t> bytes;
  };
  struct Counts {
    std::uint64_t returned_packets = 0, returned_bytes = 0;
    std::uint64_t over_limit = 0;  // packets and messages that were not returned
    std::uint64_t keyframe_requests = 0, repeats_requested = 0;
    std::uint64_t messages = 0, message_bytes = 0;
  };

  // ice::Agent::Outputs
  void send(ice::Base base, const Address& to, ByteView bytes) override;
  void on_pair(ice::Base, const Address&) override {}
  void on_selected(const ice::Agent::Selected& selected) override;
  void on_state(ice::Agent::State state) override;
  // media::Session::Outputs
  void send_datagram(ByteView datagram) override;
  void on_connected(std::optional<media::SrtpProfile>) override {}
  void on_rtp(const media::RtpPacket& packet, ByteView bytes) override;
  void on_rtcp(ByteView compound) override;
  void on_channel_open(media::ChannelId, const media::ChannelOptions&) override {}
  void on_channel_message(media::ChannelId id, media::MessageKind kind, ByteView message) override;
  void on_channel_closed(media::ChannelId id) override;
  void on_channels_writable() override;
  void on_ended(media::DtlsTransport::Ending ending) override;

  void take_offer(const std::string& sdp);
  void take_candidate(const std::string& line);
  void open_agreed_channels();
  ice::Candidate candidate_of(std::size_t base) const;
  media::Description answer(const media::Description& offer);
  void begin(const media::Description& offer);
  void settle();
  void hang_up();
  void note_sections(const media::Description& offer, const media::Description& answer);
  std::uint32_t ssrc_of(std::string_view mid);
  const Section* section_of(const media::RtpPacket& packet) const;
  const Route* route_of(const media::RtpPacket& packet);
  const Route* returned(std::uint32_t ours) const;
  void ask_sender(const media::RtcpMessage& message);
  void return_waiting();
  void limit_sender();
  void refuse(std::string_view code, std::string_view why);

  // --- echo_statistics.cc ---
  void tell_statistics();

  const Shared shared_;
  Owner& owner_;
  const MonoTime began_, end_at_;
  Tick now_;
  bool over_ = false;
  // Of the guest's last offer. Another fingerprint is another connection.
  std::vector<media::Fingerprint> fingerprints_;
  std::string their_fragment_;
  std::unique_ptr<ice::Agent> agent_;
  std::unique_ptr<media::Session> media_;
  std::optional<Closing> closing_;  // to be carried out by settle()
  std::string session_id_;          // of our descriptions
  std::uint64_t version_ = 0;
  std::uint16_t mid_extension_ = 0;
  std::vector<Section> sections_;
  std::vector<Route> routes_;
  std::vector<Path> paths_;
  turn::Meter meter_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t max_message_size_ = 0;  // that the guest takes; 0: any
  Counts counts_;
  MonoTime next_return_ = MonoTime::never();  // of what waits
  MonoTime next_statistics_ = MonoTime::never();
  struct Measured {
    std::uint64_t audio = 0, video = 0, returned = 0;  // bytes
  };
  Measured before_;
  MonoTime measured_at_;
};

std::string_view name_of(EchoSession::Closing closing);  // "path-lost"

}  // namespace turnpike::server
