#include "ice/media/session.h"

#include <algorithm>
#include <utility>

#include "ice/media/channels.h"

namespace turnpike::media {
namespace {

constexpr std::uint8_t kFirstOfRtp = 128;
constexpr std::size_t kMaxBlocks = 31;
constexpr seconds kRecent{10};  // who was silent for longer is not reported on
constexpr std::size_t kRtcpRoom = 1200;

std::uint32_t ssrc_at(ByteView packet, std::size_t at) {
  Reader in(packet.subspan(std::min(at, packet.size())));
  return in.u32();
}

template <typename Streams>
auto* stream_of(Streams& streams, std::uint32_t ssrc) {
  const auto found = std::find_if(streams.begin(), streams.end(), [ssrc](const auto& stream) {
    return stream.statistics().ssrc == ssrc;
  });
  return found == streams.end() ? nullptr : &*found;
}

}  // namespace

struct Session::Data final : Channels::Owner {
  Data(Session& its_session, Channels::Settings settings)
      : session(its_session), channels(settings, *this) {}
  void send_sctp(ByteView packet) override { session.dtls_->write(packet); }
  Outputs& channel_outputs() override { return session.outputs_; }

  Session& session;
  Channels channels;
};

Session::Session(const Identity& identity, Random& random, Settings settings, Outputs& outputs)
    : identity_(identity),
      random_(random),
      settings_(std::move(settings)),
      outputs_(outputs),
      own_ssrc_(settings_.rtcp_ssrc != 0 ? settings_.rtcp_ssrc : random_.u32()) {
  // RFC 3551's audio; everything else is in SDP.
  for (const std::size_t payload_type : {0u, 8u, 9u}) clock_rates_[payload_type] = 8000;
}

Session::~Session() = default;

void Session::set_remote(Tick now, Remote remote) {
  now_ = now;
  if (state_ == State::kEnded) return;
  if (!remote_) {
    remote_ = std::move(remote);
  } else {
    // A new offer or answer: the transport stays (RFC 8842 section 5.2), channels may come.
    remote_->channels = remote_->channels || remote.channels;
  }
  connect_channels();
  begin();
}

void Session::start(Tick now) {
  now_ = now;
  path_ready_ = true;
  begin();
}

void Session::begin() {
  if (!path_ready_ || !remote_ || dtls_ != nullptr || state_ != State::kNew) return;
  state_ = State::kConnecting;
  DtlsTransport::Owner& owner = *this;
  dtls_ = std::make_unique<DtlsTransport>(
      identity_,
      DtlsTransport::Settings{.role = remote_->role,
                              .fingerprints = remote_->fingerprints,
                              .profiles = settings_.profiles,
                              .handshake_limit = settings_.handshake_limit},
      owner);
  dtls_->start(now_.mono);
}

void Session::connect_channels() {
  if (data_ != nullptr || !settings_.channels || !remote_->channels) return;
  data_ = std::make_unique<Data>(
      *this, Channels::Settings{.role = remote_->role,
                                .association = {.local_port = settings_.sctp_port,
                                                .remote_port = remote_->sctp_port,
                                                .max_message_size = settings_.max_message_size},
                                .max_message_size = remote_->max_message_size});
  if (state_ == State::kConnected) data_->channels.start(now_.mono);
}

// --- DTLS

void Session::on_dtls_connected() {
  if (const auto keys = dtls_->srtp_keys()) {
    sending_ = SrtpStream::create(keys->profile, SrtpStream::Direction::kSend, keys->ours);
    receiving_ = SrtpStream::create(keys->profile, SrtpStream::Direction::kReceive, keys->theirs);
    if (sending_ && receiving_) profile_ = keys->profile;
  }
  state_ = State::kConnected;
  plan_report();
  outputs_.on_connected(profile_);
  if (state_ == State::kConnected && data_ != nullptr) data_->channels.start(now_.mono);
}

void Session::on_dtls_message(ByteView message) {
  if (data_ != nullptr) data_->channels.on_packet(now_.mono, message);
}

void Session::on_dtls_ended(DtlsTransport::Ending ending) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  next_report_ = MonoTime::never();
  if (data_ != nullptr) data_->channels.abort(now_.mono);
  outputs_.on_ended(ending);
}

void Session::close(Tick now) {
  now_ = now;
  if (state_ == State::kEnded) return;
  if (state_ == State::kConnected) {
    Goodbye goodbye;
    for (const OutboundStream& stream : outbound_) {
      if (goodbye.ssrcs.size() < kMaxBlocks) goodbye.ssrcs.push_back(stream.statistics().ssrc);
    }
    std::array<std::uint8_t, kRtcpRoom> room;
    Writer out(room);
    const std::uint32_t ssrc = goodbye.ssrcs.empty() ? own_ssrc_ : goodbye.ssrcs.front();
    if (write_receiver_report(out, {ssrc, {}}) && write_goodbye(out, goodbye)) {
      send_rtcp(now, out.written());
    }
    if (data_ != nullptr) data_->channels.abort(now.mono);
  }
  if (dtls_ != nullptr) return dtls_->close();
  on_dtls_ended(DtlsTransport::Ending::kClosed);
}

// --- Time

MonoTime Session::next_deadline() const {
  if (state_ == State::kEnded) return MonoTime::never();
  MonoTime next = next_report_;
  if (dtls_ != nullptr) next = std::min(next, dtls_->next_deadline());
  if (data_ != nullptr) next = std::min(next, data_->channels.next_deadline());
  return next;
}

void Session::on_time(Tick now) {
  now_ = now;
  if (dtls_ != nullptr && dtls_->next_deadline() <= now.mono) dtls_->on_time(now.mono);
  if (state_ != State::kConnected) return;
  if (data_ != nullptr && data_->channels.next_deadline() <= now.mono) {
    data_->channels.on_time(now.mono);
  }
  if (next_report_ <= now.mono) {
    send_reports();
    plan_report();
  }
}

// Between half and one and a half of the mean, so that nobody's reports fall in step (RFC 3550
// section 6.2).
void Session::plan_report() {
  const auto mean = static_cast<std::uint32_t>(settings_.report_interval.count());
  if (mean == 0 || !profile_) return;
  next_report_ = now_.mono + milliseconds(mean / 2 + random_.below(mean + 1));
}

// --- Packets

void Session::on_datagram(Tick now, ByteView datagram) {
  now_ = now;
  if (!is_session_datagram(datagram) || datagram.size() > kMaxDatagram) {
    ++ignored_datagrams_;
    return;
  }
  if (datagram[0] < kFirstOfRtp) {
    if (dtls_ == nullptr) {
      ++ignored_datagrams_;
      return;
    }
    return dtls_->on_datagram(now.mono, datagram);
  }
  if (state_ != State::kConnected || !profile_) {
    ++ignored_datagrams_;
    return;
  }
  if (is_rtcp(datagram)) return on_srtcp(datagram);
  on_srtp(datagram);
}

// libsrtp keeps something for every SSRC that was authentic once, and so do we: there is an end to
// what an authentic peer can make us keep.
void Session::on_srtp(ByteView datagram) {
  if (inbound_.size() >= kMaxStreams && stream_of(inbound_, ssrc_at(datagram, 8)) == nullptr) {
    ++streams_refused_;
    return;
  }
  std::copy(datagram.begin(), datagram.end(), incoming_.begin());
  const auto bytes = receiving_->unprotect_rtp(MutableBytes(incoming_.data(), datagram.size()));
  if (!bytes) return;
  const auto packet = parse_rtp(*bytes);
  InboundStream* stream = packet ? inbound_of(*packet) : nullptr;
  if (stream == nullptr) {
    ++malformed_;
    return;
  }
  stream->on_packet(now_.mono, *packet);
  outputs_.on_rtp(*packet, *bytes);
}

InboundStream* Session::inbound_of(const RtpPacket& packet) {
  const std::uint32_t clock_rate = clock_rate_of(packet.payload_type);
  InboundStream* stream = stream_of(inbound_, packet.ssrc);
  if (stream == nullptr) {
    if (inbound_.size() >= kMaxStreams) return nullptr;
    return &inbound_.emplace_back(packet.ssrc, clock_rate);
  }
  if (clock_rate != 0) stream->set_clock_rate(clock_rate);
  return stream;
}

OutboundStream* Session::outbound_of(const RtpPacket& packet) {
  const std::uint32_t clock_rate = clock_rate_of(packet.payload_type);
  OutboundStream* stream = stream_of(outbound_, packet.ssrc);
  if (stream == nullptr) {
    if (outbound_.size() >= kMaxStreams) return nullptr;
    return &outbound_.emplace_back(packet.ssrc, clock_rate);
  }
  if (clock_rate != 0) stream->set_clock_rate(clock_rate);
  return stream;
}

bool Session::send_rtp(Tick now, ByteView packet) {
  now_ = now;
  if (state_ != State::kConnected || !profile_ || packet.size() > kMaxRtpPacket) return false;
  const auto rtp = parse_rtp(packet);
  OutboundStream* stream = rtp ? outbound_of(*rtp) : nullptr;
  if (stream == nullptr) return false;
  std::copy(packet.begin(), packet.end(), outgoing_.begin());
  const auto bytes = sending_->protect_rtp(outgoing_, packet.size());
  if (!bytes) return false;
  stream->on_packet(now.mono, *rtp);
  outputs_.send_datagram(*bytes);
  return true;
}

bool Session::send_rtcp(Tick now, ByteView compound) {
  now_ = now;
  if (state_ != State::kConnected || !profile_ || compound.size() > kMaxRtpPacket ||
      compound.size() < 8 || !is_rtcp(compound)) {
    return false;
  }
  std::copy(compound.begin(), compound.end(), outgoing_.begin());
  const auto bytes = sending_->protect_rtcp(outgoing_, compound.size());
  if (!bytes) return false;
  outputs_.send_datagram(*bytes);
  return true;
}

// --- Reports

bool Session::may_receive_rtcp_of(std::uint32_t ssrc) const {
  return rtcp_senders_.size() < 2 * kMaxStreams ||
         std::find(rtcp_senders_.begin(), rtcp_senders_.end(), ssrc) != rtcp_senders_.end();
}

void Session::on_srtcp(ByteView datagram) {
  const std::uint32_t sender = ssrc_at(datagram, 4);
  if (!may_receive_rtcp_of(sender)) {
    ++streams_refused_;
    return;
  }
  std::copy(datagram.begin(), datagram.end(), incoming_.begin());
  const auto bytes = receiving_->unprotect_rtcp(MutableBytes(incoming_.data(), datagram.size()));
  if (!bytes) return;
  if (std::find(rtcp_senders_.begin(), rtcp_senders_.end(), sender) == rtcp_senders_.end()) {
    rtcp_senders_.push_back(sender);
  }
  take_reports(*bytes);
  outputs_.on_rtcp(*bytes);
}

void Session::take_reports(ByteView compound) {
  const auto messages = parse_rtcp(compound);
  if (!messages) {
    ++malformed_;
    return;
  }
  for (const RtcpMessage& message : *messages) {
    if (const auto* report = std::get_if<SenderReport>(&message)) {
      if (InboundStream* stream = stream_of(inbound_, report->ssrc)) {
        stream->on_sender_report(now_.mono, *report);
      }
      take_blocks(report->blocks);
    } else if (const auto* receiver = std::get_if<ReceiverReport>(&message)) {
      take_blocks(receiver->blocks);
    }
  }
}

void Session::take_blocks(const std::vector<ReportBlock>& blocks) {
  for (const ReportBlock& block : blocks) {
    OutboundStream* stream = stream_of(outbound_, block.ssrc);
    if (stream == nullptr) continue;
    stream->on_report(now_.mono, block);
    if (block.last_report != 0) round_trip_ = stream->statistics().round_trip;
  }
}

std::vector<ReportBlock> Session::make_blocks() {
  std::vector<ReportBlock> blocks;
  for (InboundStream& stream : inbound_) {
    if (now_.mono - stream.statistics().last_arrival > kRecent) continue;
    if (blocks.size() < kMaxBlocks) blocks.push_back(stream.report(now_.mono));
  }
  return blocks;
}

// One compound for each SSRC that sends: libsrtp and some receivers look at the first packet's SSRC
// only. The first one carries the blocks.
void Session::send_reports() {
  std::vector<ReportBlock> blocks = make_blocks();
  const auto send = [this](auto&& write) {
    std::array<std::uint8_t, kRtcpRoom> room;
    Writer out(room);
    if (write(out)) send_rtcp(now_, out.written());
  };
  for (OutboundStream& stream : outbound_) {
    if (!stream.sent_since_report()) continue;
    SenderReport report = stream.report(now_.mono);
    report.blocks = std::exchange(blocks, {});
    send([this, &report](Writer& out) {
      return write_sender_report(out, report) &&
             write_source_description(out, report.ssrc, settings_.cname);
    });
  }
  if (blocks.empty()) return;
  const std::uint32_t ssrc = outbound_.empty() ? own_ssrc_ : outbound_.front().statistics().ssrc;
  send([this, ssrc, &blocks](Writer& out) {
    return write_receiver_report(out, {ssrc, blocks}) &&
           write_source_description(out, ssrc, settings_.cname);
  });
}

void Session::set_clock_rate(std::uint8_t payload_type, std::uint32_t clock_rate) {
  if (payload_type < clock_rates_.size()) clock_rates_[payload_type] = clock_rate;
}

std::vector<InboundStatistics> Session::inbound() const {
  std::vector<InboundStatistics> all;
  for (const InboundStream& stream : inbound_) all.push_back(stream.statistics());
  return all;
}

std::vector<OutboundStatistics> Session::outbound() const {
  std::vector<OutboundStatistics> all;
  for (const OutboundStream& stream : outbound_) all.push_back(stream.statistics());
  return all;
}

Session::Counters Session::counters() const {
  Counters counters;
  if (receiving_) counters.srtp = receiving_->counters();
  counters.ignored_datagrams = ignored_datagrams_;
  counters.malformed = malformed_;
  counters.streams_refused = streams_refused_;
  return counters;
}

// --- Channels

std::optional<ChannelId> Session::open_channel(Tick now, const ChannelOptions& options) {
  now_ = now;
  if (data_ == nullptr || state_ == State::kEnded) return std::nullopt;
  return data_->channels.open(now.mono, options);
}

bool Session::send_message(Tick now, ChannelId id, MessageKind kind, ByteView message) {
  now_ = now;
  return data_ != nullptr && state_ == State::kConnected &&
         data_->channels.send(now.mono, id, kind, message);
}

void Session::close_channel(Tick now, ChannelId id) {
  now_ = now;
  if (data_ != nullptr) data_->channels.close(now.mono, id);
}

std::size_t Session::buffered() const { return data_ == nullptr ? 0 : data_->channels.buffered(); }

}  // namespace turnpike::media
