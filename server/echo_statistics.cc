// What an EchoSession tells its guest each second: small JSON, documented in docs/signaling.md.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "server/echo_session.h"

namespace turnpike::server {
namespace {

using nlohmann::json;

double in_milliseconds(Duration duration) {
  const double exact = std::chrono::duration<double, std::milli>(duration).count();
  return std::round(exact * 100) / 100;
}

std::string_view state_of(const ice::Agent& agent) {
  switch (agent.state()) {
    case ice::Agent::State::kNew:
    case ice::Agent::State::kChecking:
      return "checking";
    case ice::Agent::State::kConnected:
      return "connected";
    case ice::Agent::State::kDisconnected:
      return "disconnected";
    case ice::Agent::State::kFailed:
      return "failed";
  }
  return "";
}

std::uint64_t bits_per_second(std::uint64_t bytes, Duration in) {
  if (in <= Duration(0)) return 0;
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * 8 /
                                    std::chrono::duration<double>(in).count());
}

// Of all streams of one kind.
struct Received {
  std::uint64_t packets = 0, bytes = 0, expected = 0;
  std::int64_t lost = 0;
  Duration jitter{0};
  bool any = false;

  void add(const media::InboundStatistics& stream) {
    any = true;
    packets += stream.packets;
    bytes += stream.payload_bytes;
    expected += stream.expected;
    lost += stream.lost;
    jitter = std::max(jitter, stream.jitter_time);
  }
  json told(std::uint64_t bitrate) const {
    const double share =
        expected == 0 ? 0 : static_cast<double>(lost) / static_cast<double>(expected);
    return {{"packets", packets},
            {"bytes", bytes},
            {"bitrate", bitrate},
            {"lost", lost},
            {"loss", std::round(std::max(share, 0.0) * 10000) / 10000},
            {"jitter_ms", in_milliseconds(jitter)}};
  }
};

}  // namespace

void EchoSession::tell_statistics() {
  Received audio, video;
  for (const media::InboundStatistics& stream : media_->inbound()) {
    const auto route = std::find_if(routes_.begin(), routes_.end(),
                                    [&](const Route& one) { return one.theirs == stream.ssrc; });
    if (route == routes_.end()) continue;
    (route->kind == media::MediaKind::kAudio ? audio : video).add(stream);
  }
  const Duration elapsed = now_.mono - measured_at_;
  json told = {{"elapsed", std::chrono::floor<seconds>(now_.mono - began_).count()},
               {"remaining", std::chrono::ceil<seconds>(end_at_ - now_.mono).count()},
               {"state", state_of(*agent_)}};
  if (const auto selected = agent_->selected()) {
    const Address& remote = selected->remote.address;
    const bool relayed =
        owner_.is_relayed_here(remote) || selected->remote.type == ice::CandidateType::kRelayed;
    told["path"] = {{"type", relayed ? "relay" : "direct"},
                    {"relay_here", owner_.is_relayed_here(remote)},
                    {"local", selected->local.address.to_string()},
                    {"remote", remote.to_string()}};
  }
  if (const auto profile = media_->profile()) told["srtp"] = media::name_of(*profile);
  if (const auto round_trip = media_->round_trip()) {
    told["round_trip_ms"] = in_milliseconds(*round_trip);
  }
  json received = json::object();
  if (audio.any) {
    received["audio"] = audio.told(bits_per_second(audio.bytes - before_.audio, elapsed));
  }
  if (video.any) {
    received["video"] = video.told(bits_per_second(video.bytes - before_.video, elapsed));
  }
  told["received"] = std::move(received);
  // What the guest says of the way back.
  double worst_loss = 0;
  for (const media::OutboundStatistics& stream : media_->outbound()) {
    if (stream.reports > 0)
      worst_loss = std::max(worst_loss, stream.last_report.fraction_lost / 256.0);
  }
  told["returned"] = {
      {"packets", counts_.returned_packets},
      {"bytes", counts_.returned_bytes},
      {"bitrate", bits_per_second(counts_.returned_bytes - before_.returned, elapsed)},
      {"loss", std::round(worst_loss * 10000) / 10000},
      {"over_limit", counts_.over_limit},
      {"keyframes_asked", counts_.keyframe_requests},
      {"repeats_asked", counts_.repeats_requested}};
  told["data"] = {{"messages", counts_.messages}, {"bytes", counts_.message_bytes}};
  before_ = {audio.bytes, video.bytes, counts_.returned_bytes};
  measured_at_ = now_.mono;
  owner_.say(json{{"statistics", std::move(told)}}.dump());
}

}  // namespace turnpike::server
