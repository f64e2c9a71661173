// What an EchoSession returns: RTP under SSRCs of its own, feedback, messages of data channels.
#include <algorithm>
#include <array>
#include <variant>

#include "server/echo_session.h"

namespace turnpike::server {
namespace {

constexpr std::uint64_t kMaxBytesPerSecond = EchoSession::kMaxBps / 8;
constexpr Duration kReturnLater = milliseconds(20);
constexpr std::size_t kMaxFeedback = 1200;

}  // namespace

// By the mid in the packet, as long as the sender writes it; else by what only one section has.
const EchoSession::Section* EchoSession::section_of(const media::RtpPacket& packet) const {
  const auto has_type = [&](const Section& section) {
    const auto& types = section.payload_types;
    return std::find(types.begin(), types.end(), packet.payload_type) != types.end();
  };
  if (mid_extension_ != 0 && mid_extension_ < 256) {
    if (const auto mid = packet.extension_of(static_cast<std::uint8_t>(mid_extension_))) {
      const auto named = std::find_if(sections_.begin(), sections_.end(), [&](const Section& one) {
        return one.mid == as_text(*mid) && has_type(one);
      });
      if (named != sections_.end()) return &*named;
    }
  }
  const auto found = std::find_if(sections_.begin(), sections_.end(), has_type);
  return found == sections_.end() ? nullptr : &*found;
}

const EchoSession::Route* EchoSession::route_of(const media::RtpPacket& packet) {
  for (const Route& route : routes_) {
    if (route.theirs == packet.ssrc) return &route;
  }
  const Section* section = section_of(packet);
  if (section == nullptr || routes_.size() >= kMaxSources) return nullptr;
  routes_.push_back({packet.ssrc, section->ssrc, section->kind, section->returns});
  return &routes_.back();
}

const EchoSession::Route* EchoSession::returned(std::uint32_t ours) const {
  // The newest: a sender that began again did so under another SSRC.
  const auto found = std::find_if(routes_.rbegin(), routes_.rend(), [&](const Route& route) {
    return route.returns && route.ours == ours;
  });
  return found == routes_.rend() ? nullptr : &*found;
}

void EchoSession::on_rtp(const media::RtpPacket& packet, ByteView bytes) {
  const Route* route = route_of(packet);
  std::array<std::uint8_t, media::Session::kMaxRtpPacket> room;
  if (route == nullptr || !route->returns || bytes.size() > room.size()) return;
  if (!meter_.has_room(now_.mono)) return void(++counts_.over_limit);
  const MutableBytes copy(room.data(), bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy.begin());
  media::set_rtp_ssrc(copy, route->ours);
  if (!media_->send_rtp(now_, copy)) return;
  meter_.take(bytes.size(), kMaxBytesPerSecond, now_.mono);
  ++counts_.returned_packets;
  counts_.returned_bytes += bytes.size();
}

void EchoSession::on_rtcp(ByteView compound) {
  const auto messages = media::parse_rtcp(compound);
  if (!messages) return;
  for (const media::RtcpMessage& message : *messages) ask_sender(message);
}

// The guest misses something of what was returned, so the guest is asked for it.
void EchoSession::ask_sender(const media::RtcpMessage& message) {
  std::array<std::uint8_t, kMaxFeedback> room;
  Writer out(room);
  // A compound begins with a report (RFC 3550 section 6.1).
  const auto begin = [&](const Route& route) {
    return media::write_receiver_report(out, {route.ours, {}});
  };
  bool written = false;
  if (const auto* loss = std::get_if<media::PictureLoss>(&message)) {
    const Route* route = returned(loss->media);
    if (route == nullptr) return;
    ++counts_.keyframe_requests;
    written = begin(*route) && media::write_picture_loss(out, {route->ours, route->theirs});
  } else if (const auto* request = std::get_if<media::FullIntraRequest>(&message)) {
    for (const auto& entry : request->entries) {
      const Route* route = returned(entry.ssrc);
      if (route == nullptr || written) continue;
      ++counts_.keyframe_requests;
      written = begin(*route) && media::write_full_intra_request(
                                     out, {route->ours, {{route->theirs, entry.sequence}}});
    }
  } else if (const auto* nack = std::get_if<media::Nack>(&message)) {
    const Route* route = returned(nack->media);
    if (route == nullptr) return;
    counts_.repeats_requested += nack->lost.size();
    written = begin(*route) && media::write_nack(out, {route->ours, route->theirs, nack->lost});
  }
  if (written) media_->send_rtcp(now_, out.written());
}

// Tells the sender what would be returned of it, before it sends more (REMB).
void EchoSession::limit_sender() {
  media::BitrateEstimate estimate;
  estimate.bits_per_second = kMaxBps;
  for (const Route& route : routes_) {
    if (!route.returns || route.kind != media::MediaKind::kVideo) continue;
    estimate.sender = route.ours;
    estimate.ssrcs.push_back(route.theirs);
  }
  if (estimate.ssrcs.empty()) return;
  std::array<std::uint8_t, kMaxFeedback> room;
  Writer out(room);
  const bool written = media::write_receiver_report(out, {estimate.sender, {}}) &&
                       media::write_bitrate_estimate(out, estimate);
  if (written) media_->send_rtcp(now_, out.written());
}

void EchoSession::on_channel_message(media::ChannelId id, media::MessageKind kind,
                                     ByteView message) {
  const bool too_long = max_message_size_ != 0 && message.size() > max_message_size_;
  const bool full =
      waiting_.size() >= kMaxWaitingMessages || waiting_bytes_ + message.size() > kMaxWaitingBytes;
  if (too_long || full) return void(++counts_.over_limit);
  waiting_.push_back({id, kind, {message.begin(), message.end()}});
  waiting_bytes_ += message.size();
  return_waiting();
}

void EchoSession::on_channels_writable() { return_waiting(); }

void EchoSession::return_waiting() {
  next_return_ = MonoTime::never();
  while (!waiting_.empty()) {
    const Waiting& next = waiting_.front();
    const bool sent = meter_.has_room(now_.mono) &&
                      media_->send_message(now_, next.channel, next.kind, next.bytes);
    if (!sent) {
      // Also when it cannot be sent at all: its channel may be gone, which is found out below.
      next_return_ = now_.mono + kReturnLater;
      return;
    }
    meter_.take(next.bytes.size(), kMaxBytesPerSecond, now_.mono);
    ++counts_.messages;
    counts_.message_bytes += next.bytes.size();
    waiting_bytes_ -= next.bytes.size();
    waiting_.pop_front();
  }
}

void EchoSession::on_channel_closed(media::ChannelId id) {
  std::erase_if(waiting_, [&](const Waiting& one) {
    if (one.channel == id) waiting_bytes_ -= one.bytes.size();
    return one.channel == id;
  });
}

}  // namespace turnpike::server
