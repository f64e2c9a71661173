#include "ice/media/channels.h"

#include <algorithm>
#include <array>

namespace turnpike::media {

void Channels::start(MonoTime now) {
  if (association_ != nullptr || down_) return;
  association_ = SctpAssociation::create(now, settings_.association);
  if (association_ == nullptr) return on_down();
  flush();
}

MonoTime Channels::next_deadline() const {
  return association_ == nullptr ? MonoTime::never() : association_->next_deadline();
}

void Channels::on_packet(MonoTime now, ByteView packet) {
  if (association_ == nullptr) return;
  association_->on_packet(now, packet);
  dispatch(now);
}

void Channels::on_time(MonoTime now) {
  if (association_ == nullptr) return;
  association_->on_time(now);
  if (awaiting_open_ > 0) {
    request_open(now);
    announce_agreed();
  }
  if (awaiting_reset_ > 0) reset_streams(now);
  dispatch(now);
}

void Channels::abort(MonoTime now) {
  if (association_ != nullptr && !down_) association_->abort(now);
  flush();
  on_down();
}

void Channels::flush() {
  if (association_ == nullptr) return;
  while (const auto packet = association_->next_packet()) owner_.send_sctp(*packet);
}

void Channels::dispatch(MonoTime now) {
  if (!dispatching_) {
    dispatching_ = true;
    flush();
    while (auto event = association_->next_event()) on_event(now, *event);
    dispatching_ = false;
  }
  flush();
}

void Channels::on_event(MonoTime now, SctpAssociation::Event& event) {
  using Kind = SctpAssociation::Event::Kind;
  if (down_) return;
  switch (event.kind) {
    case Kind::kUp:
      return on_up(now);
    case Kind::kDown:
      association_->abort(now);
      return on_down();
    case Kind::kMessage:
      return on_message(now, event);
    case Kind::kPeerReset:
      return on_peer_reset(now, event.stream);
    case Kind::kOwnReset:
      return on_own_reset(event.stream);
    case Kind::kWritable:
      request_open(now);
      owner_.channel_outputs().on_channels_writable();
      return;
  }
}

void Channels::on_up(MonoTime now) {
  up_ = true;
  request_open(now);
  announce_agreed();
}

// Nobody has to confirm an agreement.
void Channels::announce_agreed() {
  std::vector<ChannelId> agreed;
  for (const auto& [id, channel] : channels_) {
    if (channel.options.negotiated && !channel.open) agreed.push_back(id);
  }
  for (const ChannelId id : agreed) {
    const auto found = channels_.find(id);
    if (found != channels_.end()) announce(id, found->second);
  }
}

void Channels::on_down() {
  if (down_) return;
  down_ = true;
  up_ = false;
  while (!channels_.empty()) remove(channels_.begin()->first);
}

void Channels::announce(ChannelId id, Channel& channel) {
  if (channel.open || channel.closing) return;
  channel.open = true;
  const ChannelOptions options = channel.options;
  owner_.channel_outputs().on_channel_open(id, options);
}

void Channels::remove(ChannelId id) {
  if (channels_.erase(id) > 0) owner_.channel_outputs().on_channel_closed(id);
}

// Empty messages are a zero byte of a kind of their own, since SCTP has none (RFC 8831
// section 6.6).
void Channels::on_message(MonoTime now, SctpAssociation::Event& event) {
  const ByteView message(event.message);
  if (event.ppid == kPpidDcep) return on_dcep(now, event.stream, message);
  const auto found = channels_.find(event.stream);
  if (found == channels_.end() || found->second.reset_by_peer) return;
  // The first message of the other side tells that it knows of the channel, too.
  announce(event.stream, found->second);
  Session::Outputs& outputs = owner_.channel_outputs();
  switch (event.ppid) {
    case kPpidText:
      return outputs.on_channel_message(event.stream, MessageKind::kText, message);
    case kPpidBinary:
      return outputs.on_channel_message(event.stream, MessageKind::kBinary, message);
    case kPpidEmptyText:
      return outputs.on_channel_message(event.stream, MessageKind::kText, {});
    case kPpidEmptyBinary:
      return outputs.on_channel_message(event.stream, MessageKind::kBinary, {});
    default:
      return;
  }
}

void Channels::on_dcep(MonoTime now, ChannelId id, ByteView message) {
  const auto found = channels_.find(id);
  if (is_channel_ack(message)) {
    if (found != channels_.end() && found->second.ours) announce(id, found->second);
    return;
  }
  const auto options = parse_channel_open(message);
  if (!options) return;
  // RFC 8832 section 6: a stream that is in use, or is ours to open, is not theirs.
  const bool their_parity = id % 2 == (settings_.role == DtlsRole::kClient ? 1 : 0);
  if (!their_parity || found != channels_.end() || id >= SctpAssociation::kStreams) return;
  if (channels_.size() >= Session::kMaxChannels) {
    const std::array<std::uint16_t, 1> refused = {id};
    association_->reset(now, refused);
    return;
  }
  Channel& channel = channels_.emplace(id, Channel{*options}).first->second;
  association_->send(now, id, kPpidDcep, write_channel_ack(), {});
  flush();
  announce(id, channel);
}

std::optional<ChannelId> Channels::free_id() const {
  for (ChannelId id = settings_.role == DtlsRole::kClient ? 0 : 1; id < SctpAssociation::kStreams;
       id = static_cast<ChannelId>(id + 2)) {
    if (!channels_.contains(id)) return id;
  }
  return std::nullopt;
}

std::optional<ChannelId> Channels::open(MonoTime now, const ChannelOptions& options) {
  if (down_ || channels_.size() >= Session::kMaxChannels) return std::nullopt;
  if (write_channel_open(options).empty()) return std::nullopt;
  const std::optional<ChannelId> id = options.negotiated ? options.negotiated : free_id();
  if (!id || *id >= SctpAssociation::kStreams || channels_.contains(*id)) return std::nullopt;
  Channel channel{options};
  channel.ours = !options.negotiated;
  channels_.emplace(*id, std::move(channel));
  if (up_) {
    request_open(now);
    flush();
    if (options.negotiated) ++awaiting_open_;  // on_channel_open() belongs behind this call
  }
  return id;
}

void Channels::request_open(MonoTime now) {
  awaiting_open_ = 0;
  if (!up_) return;
  for (auto& [id, channel] : channels_) {
    if (!channel.ours || channel.requested || channel.closing) continue;
    const auto message = write_channel_open(channel.options);
    channel.requested =
        association_->send(now, id, kPpidDcep, message, {}) == SctpAssociation::Sent::kYes;
    if (!channel.requested) ++awaiting_open_;
  }
}

bool Channels::send(MonoTime now, ChannelId id, MessageKind kind, ByteView message) {
  const auto found = channels_.find(id);
  if (found == channels_.end() || found->second.closing || association_ == nullptr) return false;
  const Channel& channel = found->second;
  if (settings_.max_message_size != 0 && message.size() > settings_.max_message_size) return false;
  if (channel.ours && !channel.requested) return false;
  constexpr std::array<std::uint8_t, 1> kNothing{};
  const bool text = kind == MessageKind::kText;
  const std::uint32_t ppid = message.empty() ? (text ? kPpidEmptyText : kPpidEmptyBinary)
                                             : (text ? kPpidText : kPpidBinary);
  // Until the other side is known to know the channel, nothing may overtake the message that opens
  // it (RFC 8832 section 6).
  const SctpAssociation::Delivery delivery{.ordered = channel.options.ordered || !channel.open,
                                           .max_retransmits = channel.options.max_retransmits,
                                           .max_lifetime_ms = channel.options.max_lifetime_ms};
  const auto sent =
      association_->send(now, id, ppid, message.empty() ? ByteView(kNothing) : message, delivery);
  flush();
  return sent == SctpAssociation::Sent::kYes;
}

// --- Closing (RFC 8831 section 6.7)

void Channels::close(MonoTime now, ChannelId id) {
  const auto found = channels_.find(id);
  if (found == channels_.end() || found->second.closing) return;
  if (!up_ || (found->second.ours && !found->second.requested)) return remove(id);
  found->second.closing = true;
  ++awaiting_reset_;
  reset_streams(now);
  flush();
}

void Channels::reset_streams(MonoTime now) {
  std::vector<std::uint16_t> streams;
  for (const auto& [id, channel] : channels_) {
    if (channel.closing && !channel.reset_sent) streams.push_back(id);
  }
  awaiting_reset_ = streams.size();
  if (streams.empty() || !association_->reset(now, streams)) return;
  awaiting_reset_ = 0;
  for (const std::uint16_t id : streams) channels_.at(id).reset_sent = true;
}

void Channels::on_peer_reset(MonoTime now, ChannelId id) {
  const auto found = channels_.find(id);
  if (found == channels_.end()) return;
  found->second.reset_by_peer = true;
  if (found->second.closing && found->second.reset_sent) return remove(id);
  found->second.closing = true;
  ++awaiting_reset_;
  reset_streams(now);
  if (awaiting_reset_ == 0) remove(id);
}

void Channels::on_own_reset(ChannelId id) {
  const auto found = channels_.find(id);
  if (found != channels_.end() && found->second.reset_by_peer) remove(id);
}

}  // namespace turnpike::media
