#include "tools/call/endpoint.h"

#include <algorithm>

namespace turnpike::call {
namespace {

using ice::Gatherer;
using ice::ServerKind;
using ice::ServerTransport;

constexpr std::size_t kRtpHeader = 12;

ServerTransport transport_of(load::Transport transport) {
  switch (transport) {
    case load::Transport::kUdp:
      return ServerTransport::kUdp;
    case load::Transport::kTcp:
      return ServerTransport::kTcp;
    case load::Transport::kTls:
    case load::Transport::kDtls:  // not offered: browsers do not speak it
      break;
  }
  return ServerTransport::kTls;
}

std::string sentence_of(Gatherer::Trouble trouble, std::uint16_t code) {
  switch (trouble) {
    case Gatherer::Trouble::kNoAnswer:
      return "relay does not answer";
    case Gatherer::Trouble::kRefused:
      return "relay refuses: " + std::to_string(code);
    case Gatherer::Trouble::kLinkLost:
      return "relay not reached";
    case Gatherer::Trouble::kLost:
      break;
  }
  return "relay has ended the allocation";
}

const char* sentence_of(media::DtlsTransport::Ending ending) {
  switch (ending) {
    case media::DtlsTransport::Ending::kClosed:
      return "DTLS: closed by the other side";
    case media::DtlsTransport::Ending::kHandshakeFailed:
      return "DTLS: the handshake failed";
    case media::DtlsTransport::Ending::kHandshakeTimedOut:
      return "DTLS: the handshake took too long";
    case media::DtlsTransport::Ending::kFingerprintRefused:
      break;
  }
  return "DTLS: the fingerprint is wrong";
}

std::uint64_t ns_of(MonoTime time) { return static_cast<std::uint64_t>(time.since_start.count()); }

}  // namespace

Endpoint::Endpoint(const Services& services, Owner& owner, Place place)
    : services_(services),
      owner_(owner),
      place_(std::move(place)),
      socket_(services.loop, *this),
      network_(services.loop, *this),
      receivers_{Receiver(place_.expects[0]), Receiver(place_.expects[1])},
      alarm_(services.loop, [this] { on_time(); }),
      media_alarm_(services.loop, [this] { send_media(); }) {
  for (std::uint32_t& ssrc : ssrcs_) ssrc = services_.random.u32() | 1;
}

Endpoint::~Endpoint() = default;

void Endpoint::start(const Desk::Pass& pass) {
  milestones_.began = Loop::now_ns();
  pass_servers_ = pass.servers;
  signaling_ =
      make_signaling(services_.options.dialect, {place_.room, pass.invitation, place_.name}, *this);
  socket_.open(services_.web, signaling_->target());
}

void Endpoint::on_web_open() { signaling_->on_open(); }

void Endpoint::on_web_text(std::string_view text) { signaling_->on_text(text); }

// A call that stands goes on without signaling; a seat can be given back no more.
void Endpoint::on_web_lost(const std::string& why) {
  if (milestones_.connected == 0) fail("signaling lost: " + why);
}

void Endpoint::on_joined(std::vector<IceServer> servers) {
  if (gatherer_ != nullptr) return;
  milestones_.joined = Loop::now_ns();
  owner_.on_joined(place_.side);
  if (!services_.options.ice_servers.empty()) {
    servers = services_.options.ice_servers;
  } else if (servers.empty()) {
    servers = pass_servers_;
  }
  Gatherer::Settings settings = settings_of(servers);
  if (failed_) return;
  const Tick now = Loop::now();
  next_heartbeat_ = now.mono + kHeartbeat;
  gatherer_.reset(new Gatherer(std::move(settings), services_.random, *this));
  gatherer_->start(now);
  settle();
}

// The servers of the transport that was asked for, and sockets for the host candidates.
Gatherer::Settings Endpoint::settings_of(const std::vector<IceServer>& servers) {
  Gatherer::Settings settings;
  settings.policy = services_.options.policy;
  const bool relay_only = settings.policy == Gatherer::Policy::kRelay;
  for (const IceServer& server : servers) {
    const auto url = ice::parse_server_url(server.url);
    if (!url) continue;
    const bool turn = url->kind == ServerKind::kTurn;
    if (turn && url->transport != transport_of(services_.options.transport)) continue;
    if (!turn && (relay_only || url->transport != ServerTransport::kUdp)) continue;
    const auto ip = services_.resolver.resolve(url->host);
    if (!ip) {
      if (trouble_.empty()) trouble_ = "unknown host: " + url->host;
      continue;
    }
    settings.servers.push_back(
        {url->kind, url->transport, {*ip, url->port}, server.username, server.credential});
    server_names_.push_back(services_.options.verify_tls ? url->host : "");
  }
  if (relay_only && settings.servers.empty()) {
    fail(trouble_.empty() ? "no relay by this transport in iceServers" : trouble_);
  }
  if (relay_only) return settings;
  for (const IpAddress& ip : services_.hosts) {
    if (const auto address = network_.open_host(ip)) settings.hosts.push_back(*address);
  }
  return settings;
}

void Endpoint::on_partner(Signaling::Arrival ours) {
  partner_ = true;
  arrival_ = ours;
  const bool first = ours == Signaling::Arrival::kFirst;
  if (first || place_.manners == Manners::kGuestOffers) make_offer();
  settle();
}

void Endpoint::on_partner_left() {
  if (!releasing_ && !failed_) owner_.on_partner_left(place_.side);
}

void Endpoint::on_candidate(const std::string& line) {
  if (agent_ == nullptr || line.empty()) return;
  const auto parsed = ice::parse_candidate(line);
  if (!parsed || !parsed->udp || !parsed->host_name.empty()) return;
  agent_->add_remote(Loop::now(), parsed->candidate, *this);
  settle();
}

// --- the network

void Endpoint::on_datagram(ice::Base host, const Address& from, ByteView bytes) {
  if (gatherer_ == nullptr) return;
  if (!media::is_session_datagram(bytes) && gatherer_->on_network(host, from, bytes)) {
    return settle();
  }
  take_packet(host, from, bytes);
  settle();
}

void Endpoint::on_link_open(std::size_t server) {
  gatherer_->on_link_open(Loop::now(), server);
  settle();
}

void Endpoint::on_link_lost(std::size_t server, const std::string& why) {
  if (trouble_.empty() && !releasing_) trouble_ = "relay not reached: " + why;
  gatherer_->on_link_lost(server);
  settle();
}

void Endpoint::on_link_message(std::size_t server, ByteView message) {
  gatherer_->on_server_message(Loop::now(), server, message);
  settle();
}

void Endpoint::take_packet(ice::Base base, const Address& from, ByteView bytes) {
  if (agent_ == nullptr) return;
  const Tick now = Loop::now();
  if (media::is_session_datagram(bytes)) {
    session_->on_datagram(now, bytes);
  } else {
    agent_->on_packet(now, base, from, bytes, *this);
  }
}

// --- the gatherer

void Endpoint::to_network(ice::Base host, const Address& to, ByteView bytes) {
  network_.send(host, to, bytes);
}

void Endpoint::open_link(std::size_t server) {
  const Gatherer::Server& one = gatherer_->settings().servers[server];
  network_.open_link({.server = server,
                      .address = one.address,
                      .from = services_.from(one.address),
                      .transport = services_.options.transport,
                      .context = services_.tls,
                      .name = server_names_[server]});
}

void Endpoint::to_server(std::size_t server, ByteView message) {
  network_.send_to_server(server, message);
}

void Endpoint::on_candidate(const ice::Candidate& candidate, ice::Base base) {
  candidates_.emplace_back(candidate, base);
  if (agent_ != nullptr) agent_->add_local(Loop::now(), candidate, base, *this);
  tell_candidates();
}

void Endpoint::on_relayed(ice::Base base, const Address& peer, ByteView data) {
  take_packet(base, peer, data);
}

void Endpoint::on_trouble(std::size_t, Gatherer::Trouble trouble, std::uint16_t code) {
  if (trouble_.empty()) trouble_ = sentence_of(trouble, code);
  // What carries the call is gone, and consent would notice half a minute later.
  if (milestones_.selected != 0 && services_.options.policy == Gatherer::Policy::kRelay) {
    fail(trouble_);
  }
}

void Endpoint::on_gathered() {
  milestones_.gathered = Loop::now_ns();
  if (candidates_.empty()) fail(trouble_.empty() ? "no candidates" : trouble_);
}

// --- the agent

void Endpoint::send(ice::Base base, const Address& to, ByteView bytes) {
  gatherer_->send(base, to, bytes);
}

void Endpoint::on_pair(ice::Base base, const Address& remote) {
  gatherer_->reach(Loop::now(), base, remote);
}

void Endpoint::on_selected(const ice::Agent::Selected& selected) {
  if (milestones_.selected == 0) {
    milestones_.selected = Loop::now_ns();
    begin_session_ = true;
  }
  prefer_ = selected;
}

void Endpoint::on_state(ice::Agent::State state) {
  if (state != ice::Agent::State::kFailed) return;
  fail(milestones_.selected != 0 ? "ICE: the way was lost"
       : trouble_.empty()        ? "ICE: no way to each other"
                                 : trouble_);
}

// --- the session

void Endpoint::send_datagram(ByteView datagram) {
  if (agent_ != nullptr) agent_->send(datagram, *this);
}

void Endpoint::on_connected(std::optional<media::SrtpProfile> profile) {
  if (!profile) return fail("DTLS: no SRTP profile in common");
  profile_ = media::name_of(*profile);
  milestones_.connected = Loop::now_ns();
  owner_.on_connected(place_.side);
}

void Endpoint::on_rtp(const media::RtpPacket& packet, ByteView) {
  const std::uint64_t now = services_.loop.arrived_ns();
  const bool audio = packet.payload_type == payload_types_[0];
  if (!audio && packet.payload_type != payload_types_[1]) return;
  const Kind kind = audio ? Kind::kAudio : Kind::kVideo;
  if (milestones_.media == 0) {
    milestones_.media = now;
    owner_.on_first_media(place_.side);
  }
  const auto delay = receivers_[static_cast<std::size_t>(kind)].take(services_.payloads, kind,
                                                                     packet.payload, now);
  if (delay) owner_.on_arrival(place_.side, kind, *delay);
}

void Endpoint::on_ended(media::DtlsTransport::Ending ending) {
  if (releasing_ || failed_) return;
  if (ending == media::DtlsTransport::Ending::kClosed) return owner_.on_partner_left(place_.side);
  fail(sentence_of(ending));
}

// --- time and media

void Endpoint::settle() {
  const Tick now = Loop::now();
  if (prefer_) {
    gatherer_->prefer(now, prefer_->base, prefer_->remote.address);
    prefer_.reset();
  }
  if (std::exchange(begin_session_, false)) session_->start(now);
  if (releasing_ && !over_ && gatherer_->released()) finish_release();
  MonoTime next = std::min(next_heartbeat_, release_limit_);
  if (gatherer_ != nullptr) next = std::min(next, gatherer_->next_deadline());
  if (agent_ != nullptr && !releasing_) {
    next = std::min({next, agent_->next_deadline(), session_->next_deadline()});
  }
  alarm_.set(over_ ? MonoTime::never() : next);
}

void Endpoint::on_time() {
  const Tick now = Loop::now();
  if (next_heartbeat_ <= now.mono) {
    next_heartbeat_ = now.mono + kHeartbeat;
    if (!signaling_->heartbeat().empty()) say(signaling_->heartbeat());
  }
  if (gatherer_ != nullptr) gatherer_->on_time(now);
  if (agent_ != nullptr && !releasing_) {
    agent_->on_time(now, *this);
    session_->on_time(now);
  }
  if (releasing_ && release_limit_ <= now.mono) finish_release();
  settle();
}

void Endpoint::start_media() {
  if (schedule_ || releasing_) return;
  schedule_.emplace(Loop::now().mono, sends(Kind::kVideo) ? services_.options.video_bitrate : 0,
                    services_.options.audio_interval);
  send_media();
}

void Endpoint::stop_media() {
  schedule_.reset();
  media_alarm_.clear();
}

void Endpoint::send_media() {
  while (schedule_) {
    const std::uint64_t now = Loop::now_ns();
    const auto packet = schedule_->take(load::tick_of(now).mono);
    if (!packet) break;
    const std::uint64_t late = now - std::min(now, ns_of(packet->due));
    late_ns_ = std::max(late_ns_, late);
    recent_late_ns_ = std::max(recent_late_ns_, late);
    send_packet(*packet);
  }
  if (schedule_) media_alarm_.set(schedule_->next());
}

void Endpoint::send_packet(const DuePacket& due) {
  const auto kind = static_cast<std::size_t>(due.kind);
  if (!payload_types_[kind]) return;
  std::array<std::uint8_t, kRtpHeader + kMaxVideoPayload> room;
  std::array<std::uint8_t, kMaxVideoPayload> payload;
  const MutableBytes body = MutableBytes(payload).first(due.size);
  write_payload(services_.payloads, due, place_.sends[kind],
                static_cast<std::uint32_t>(sent_[kind]), Loop::now_ns(), body);
  media::RtpPacket packet;
  packet.marker = due.marker;
  packet.payload_type = *payload_types_[kind];
  packet.sequence = static_cast<std::uint16_t>(sent_[kind]);
  packet.timestamp = due.timestamp;
  packet.ssrc = ssrcs_[kind];
  packet.payload = body;
  Writer out(room);
  if (!media::write_rtp(out, packet)) return;
  ++sent_[kind];
  session_->send_rtp(Loop::now(), out.written());
}

// --- the end

void Endpoint::release() {
  if (std::exchange(releasing_, true)) return;
  stop_media();
  const Tick now = Loop::now();
  if (session_ != nullptr && session_->state() != media::Session::State::kEnded) {
    session_->close(now);
  }
  if (gatherer_ == nullptr) return finish_release();
  release_limit_ = now.mono + kReleaseLimit;
  gatherer_->release(now);
  settle();
}

void Endpoint::finish_release() {
  if (std::exchange(over_, true)) return;
  if (socket_.is_open()) signaling_->leave();
  socket_.hang_up();
  alarm_.clear();
}

void Endpoint::fail(const std::string& cause) {
  if (std::exchange(failed_, true) || releasing_) return;
  owner_.on_failed(place_.side, cause);
}

std::optional<ice::Agent::Selected> Endpoint::selected() const {
  return agent_ == nullptr ? std::nullopt : agent_->selected();
}

std::vector<media::InboundStatistics> Endpoint::inbound() const {
  return session_ == nullptr ? std::vector<media::InboundStatistics>{} : session_->inbound();
}

std::optional<Duration> Endpoint::round_trip() const {
  return session_ == nullptr ? std::nullopt : session_->round_trip();
}

std::string Endpoint::waits_for() const {
  if (milestones_.joined == 0) return "joining the room";
  if (!partner_) return "waiting for a partner";
  if (milestones_.selected == 0) {
    return gatherer_ != nullptr && !gatherer_->gathered() ? "gathering candidates" : "ICE checks";
  }
  return milestones_.connected == 0 ? "the DTLS handshake" : "the first media";
}

}  // namespace turnpike::call
