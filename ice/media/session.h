// media::Session: one peer connection above ICE, as a state machine without sockets and clocks:
// DTLS with verified fingerprints, SRTP, RTP statistics with RTCP reports, and data channels (SCTP
// over DTLS). It stands between an ice::Agent (or whatever else brings datagrams to the peer) and
// whoever makes or takes media.
//
//   network -> is_session_datagram() ? on_datagram : agent.on_packet
//   on_datagram, on_time -> send_datagram (agent.send), on_connected, on_rtp, on_channel_message
//
//   set_remote(now, ...)  what SDP said: who is DTLS client, which fingerprint
//   start(now)            ICE has selected a pair; before, nothing is sent
//   ...on_connected       send_rtp, send_rtcp; channels open themselves from then on
//
// set_remote() and start() come in any order; DTLS begins with the second of them, and what the
// peer sends before that is not kept, for it will be repeated. Channels can be opened as soon as
// set_remote() has told who is DTLS client, on which their numbers depend. After each call
// next_deadline() may have changed.
//
// Inside on_rtp, on_rtcp and every on_channel_* the session may be sent through (send_rtp,
// send_rtcp, send_message, open_channel, close_channel): an echo is one line. Inside
// send_datagram() it may not be called at all, and nowhere may it be destroyed.
//
// One thread for all sessions of a process that have data channels: usrsctp is one for all of them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/expected.h"
#include "base/random.h"
#include "base/time.h"
#include "ice/media/dcep.h"
#include "ice/media/dtls.h"
#include "ice/media/identity.h"
#include "ice/media/rtcp.h"
#include "ice/media/rtp.h"
#include "ice/media/rtp_statistics.h"
#include "ice/media/sdp.h"
#include "ice/media/srtp.h"

namespace turnpike::media {

// RFC 7983 section 7: DTLS, or RTP and RTCP. The rest is the agent's (STUN), or nobody's.
constexpr bool is_session_datagram(ByteView datagram) {
  return !datagram.empty() &&
         ((datagram[0] >= 20 && datagram[0] <= 63) || (datagram[0] >= 128 && datagram[0] <= 191));
}

// Who is DTLS client, from both sides' a=setup. `ours` is kActPass in an offer. Nothing: they
// contradict each other.
std::optional<DtlsRole> dtls_role(Setup ours, Setup theirs);

using ChannelId = std::uint16_t;  // the SCTP stream
enum class MessageKind : std::uint8_t { kText, kBinary };

class Session final : private DtlsTransport::Owner {
 public:
  static constexpr std::size_t kMaxStreams = 64;      // SSRCs of each direction
  static constexpr std::size_t kMaxChannels = 256;    // open at once
  static constexpr std::size_t kMaxRtpPacket = 1400;  // to send, before protection

  enum class State : std::uint8_t { kNew, kConnecting, kConnected, kEnded };

  struct Settings {
    std::vector<SrtpProfile> profiles = {SrtpProfile::kAeadAes128Gcm, SrtpProfile::kAes128CmSha1_80,
                                         SrtpProfile::kAeadAes256Gcm};
    bool channels = true;                // SCTP, as soon as the remote said that it has it
    std::string cname = "turnpike";      // in RTCP
    milliseconds report_interval{1000};  // the mean between RTCP reports of ours; 0: none
    std::uint32_t rtcp_ssrc = 0;         // reports when nothing is sent; 0: at random
    std::uint16_t sctp_port = 5000;
    std::size_t max_message_size = 262144;  // to be received
    seconds handshake_limit{30};
  };

  struct Remote {
    DtlsRole role = DtlsRole::kClient;  // ours
    std::vector<Fingerprint> fingerprints;
    bool channels = false;
    std::uint16_t sctp_port = 5000;
    std::uint64_t max_message_size = 65536;  // to be sent; 0: no limit
  };

  class Outputs {
   public:
    virtual ~Outputs() = default;
    virtual void send_datagram(ByteView datagram) = 0;
    // DTLS is up and the certificate is the right one. Without a profile there is no RTP: the two
    // have none in common.
    virtual void on_connected(std::optional<SrtpProfile> profile) = 0;
    // Decrypted; `packet` has its views in `bytes`, which is the whole packet.
    virtual void on_rtp(const RtpPacket& packet, ByteView bytes) = 0;
    // Decrypted compound; the session has taken from it what its statistics need.
    virtual void on_rtcp(ByteView compound) = 0;
    // Opened by the other side, or by open_channel() and now known to it.
    virtual void on_channel_open(ChannelId id, const ChannelOptions& options) = 0;
    virtual void on_channel_message(ChannelId id, MessageKind kind, ByteView message) = 0;
    virtual void on_channel_closed(ChannelId id) = 0;
    // send_message() was refused for want of room, and there is some again.
    virtual void on_channels_writable() = 0;
    // Once, and the last that is heard.
    virtual void on_ended(DtlsTransport::Ending ending) = 0;
  };

  // `identity`, `random` and `outputs` outlive the session.
  Session(const Identity& identity, Random& random, Settings settings, Outputs& outputs);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void set_remote(Tick now, Remote remote);
  void start(Tick now);
  // DTLS, SRTP or SRTCP; anything else is counted and gone.
  void on_datagram(Tick now, ByteView datagram);
  void on_time(Tick now);
  MonoTime next_deadline() const;
  // Says goodbye (RTCP BYE, SCTP abort, close_notify); on_ended is heard from inside.
  void close(Tick now);

  State state() const { return state_; }
  std::optional<SrtpProfile> profile() const { return profile_; }

  // The clock of a payload type, from SDP: statistics and reports need it. Both directions.
  void set_clock_rate(std::uint8_t payload_type, std::uint32_t clock_rate);
  // A whole packet in the clear (write_rtp(), or one that came in, rewritten). False: not
  // connected, too long, not RTP, or more than kMaxStreams SSRCs.
  bool send_rtp(Tick now, ByteView packet);
  // A compound in the clear: PLI, NACK... Reports are the session's own business.
  bool send_rtcp(Tick now, ByteView compound);

  // Nothing: before set_remote(), no channels there, too many, a bad number, or a label too long.
  // on_channel_open() follows when the other side knows of it.
  std::optional<ChannelId> open_channel(Tick now, const ChannelOptions& options);
  // False: no such channel, too long for the other side, or no room (on_channels_writable()).
  bool send_message(Tick now, ChannelId id, MessageKind kind, ByteView message);
  void close_channel(Tick now, ChannelId id);  // on_channel_closed() follows
  // Bytes of messages that the other side has not confirmed yet, of all channels.
  std::size_t buffered() const;

  std::vector<InboundStatistics> inbound() const;
  std::vector<OutboundStatistics> outbound() const;
  struct Counters {
    SrtpCounters srtp;                    // and SRTCP
    std::uint64_t ignored_datagrams = 0;  // neither DTLS nor RTP, or before its time
    std::uint64_t malformed = 0;          // authentic, and yet no RTP or RTCP
    std::uint64_t streams_refused = 0;    // packets of SSRCs beyond kMaxStreams
  };
  Counters counters() const;
  // The last round trip that an RTCP report told of.
  std::optional<Duration> round_trip() const { return round_trip_; }

 private:
  static constexpr std::size_t kMaxDatagram = 2048;

  void send_dtls(ByteView datagram) override { outputs_.send_datagram(datagram); }
  void on_dtls_connected() override;
  void on_dtls_message(ByteView message) override;
  void on_dtls_ended(DtlsTransport::Ending ending) override;

  void begin();
  void on_srtp(ByteView datagram);
  void on_srtcp(ByteView datagram);
  void take_reports(ByteView compound);
  void take_blocks(const std::vector<ReportBlock>& blocks);
  std::vector<ReportBlock> make_blocks();
  void connect_channels();
  bool may_receive_rtcp_of(std::uint32_t ssrc) const;
  void send_reports();
  void plan_report();
  std::uint32_t clock_rate_of(std::uint8_t payload_type) const {
    return clock_rates_[payload_type];
  }
  InboundStream* inbound_of(const RtpPacket& packet);
  OutboundStream* outbound_of(const RtpPacket& packet);

  const Identity& identity_;
  Random& random_;
  const Settings settings_;
  Outputs& outputs_;
  State state_ = State::kNew;
  Tick now_;
  bool path_ready_ = false;
  std::optional<Remote> remote_;
  std::unique_ptr<DtlsTransport> dtls_;
  std::optional<SrtpProfile> profile_;
  std::optional<SrtpStream> sending_, receiving_;
  struct Data;  // the channels
  std::unique_ptr<Data> data_;

  std::array<std::uint32_t, 128> clock_rates_{};
  std::vector<InboundStream> inbound_;
  std::vector<OutboundStream> outbound_;
  std::vector<std::uint32_t> rtcp_senders_;  // whose RTCP was authentic: libsrtp keeps each
  std::optional<Duration> round_trip_;
  std::uint32_t own_ssrc_;
  MonoTime next_report_ = MonoTime::never();
  std::uint64_t ignored_datagrams_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t streams_refused_ = 0;
  // libsrtp works on words.
  alignas(8) std::array<std::uint8_t, kMaxDatagram> incoming_;
  alignas(8) std::array<std::uint8_t, kMaxDatagram> outgoing_;
};

// What a session has to know of a description that supports() accepts, when `ours` is what our own
// description says in a=setup.
Expected<Session::Remote> remote_of(const Description& theirs, Setup ours);
// Tells the session the clocks of every codec in it.
void set_clock_rates(Session& session, const Description& description);

}  // namespace turnpike::media
