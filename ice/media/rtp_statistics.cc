#include "ice/media/rtp_statistics.h"

#include <algorithm>

namespace turnpike::media {
namespace {

// Wraps with the timestamps; only differences matter.
std::uint32_t units_of(Duration time, std::uint32_t clock_rate) {
  const auto whole = std::chrono::duration_cast<seconds>(time);
  const auto rest = static_cast<std::uint64_t>((time - whole).count());
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(whole.count()) * clock_rate +
                                    rest * clock_rate / 1'000'000'000u);
}

Duration time_of(std::uint64_t units, std::uint32_t clock_rate) {
  if (clock_rate == 0) return Duration(0);
  return Duration(static_cast<std::int64_t>(units * 1'000'000'000u / clock_rate));
}

std::uint32_t middle_of(std::uint64_t ntp) { return static_cast<std::uint32_t>(ntp >> 16); }

}  // namespace

// --- InboundStream

InboundStream::InboundStream(std::uint32_t ssrc, std::uint32_t clock_rate) {
  statistics_.ssrc = ssrc;
  statistics_.clock_rate = clock_rate;
}

void InboundStream::set_clock_rate(std::uint32_t clock_rate) {
  if (clock_rate == statistics_.clock_rate) return;
  statistics_.clock_rate = clock_rate;
  transit_.reset();
  scaled_jitter_ = 0;
}

void InboundStream::restart_sequence(std::uint16_t sequence) {
  base_sequence_ = sequence;
  max_sequence_ = sequence;
  cycles_ = 0;
  suspect_.reset();
}

// RFC 3550 appendix A.1, without its probation: what comes is authentic.
bool InboundStream::update_sequence(std::uint16_t sequence) {
  if (!begun_) {
    begun_ = true;
    restart_sequence(sequence);
    return true;
  }
  const auto ahead = static_cast<std::uint16_t>(sequence - max_sequence_);
  if (ahead < kMaxDropout) {
    if (sequence < max_sequence_) cycles_ += 1u << 16;
    max_sequence_ = sequence;
    return true;
  }
  if (ahead > 0x10000 - kMaxMisorder) return true;  // late, or again
  if (suspect_ != sequence) {
    suspect_ = static_cast<std::uint16_t>(sequence + 1);
    return false;
  }
  expected_before_ = statistics_.expected;
  transit_.reset();
  ++statistics_.restarts;
  restart_sequence(sequence);
  return true;
}

void InboundStream::on_packet(MonoTime now, const RtpPacket& packet) {
  statistics_.last_arrival = now;
  if (!update_sequence(packet.sequence)) return;
  ++statistics_.packets;
  statistics_.payload_type = packet.payload_type;
  statistics_.payload_bytes += packet.payload.size();
  update_jitter(now, packet.timestamp);
  statistics_.highest_sequence = cycles_ + max_sequence_;
  statistics_.expected = expected_before_ + cycles_ + max_sequence_ - base_sequence_ + 1;
  statistics_.lost = static_cast<std::int64_t>(statistics_.expected - statistics_.packets);
}

// Appendix A.8.
void InboundStream::update_jitter(MonoTime now, std::uint32_t timestamp) {
  if (statistics_.clock_rate == 0) return;
  const std::uint32_t transit = units_of(now.since_start, statistics_.clock_rate) - timestamp;
  if (transit_) {
    const auto change = static_cast<std::int32_t>(transit - *transit_);
    const auto distance = static_cast<std::uint32_t>(change < 0 ? -std::int64_t{change} : change);
    scaled_jitter_ += distance - ((scaled_jitter_ + 8) >> 4);
  }
  transit_ = transit;
  statistics_.jitter = scaled_jitter_ >> 4;
  statistics_.jitter_time = time_of(statistics_.jitter, statistics_.clock_rate);
}

void InboundStream::on_sender_report(MonoTime now, const SenderReport& report) {
  last_report_ = middle_of(report.ntp);
  last_report_at_ = now;
}

// Appendix A.3.
ReportBlock InboundStream::report(MonoTime now) {
  const std::uint64_t expected = statistics_.expected - expected_at_report_;
  const std::uint64_t received = statistics_.packets - packets_at_report_;
  expected_at_report_ = statistics_.expected;
  packets_at_report_ = statistics_.packets;
  statistics_.fraction_lost = expected == 0 || received >= expected
                                  ? std::uint8_t{0}
                                  : static_cast<std::uint8_t>(std::min<std::uint64_t>(
                                        ((expected - received) << 8) / expected, 255));
  ReportBlock block;
  block.ssrc = statistics_.ssrc;
  block.fraction_lost = statistics_.fraction_lost;
  block.cumulative_lost =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(statistics_.lost, -0x800000, 0x7fffff));
  block.highest_sequence = statistics_.highest_sequence;
  block.jitter = statistics_.jitter;
  block.last_report = last_report_;
  if (last_report_ != 0) {
    block.delay = middle_of(ntp_of(MonoTime{now - last_report_at_}));
  }
  return block;
}

// --- OutboundStream

OutboundStream::OutboundStream(std::uint32_t ssrc, std::uint32_t clock_rate)
    : clock_rate_(clock_rate) {
  statistics_.ssrc = ssrc;
}

void OutboundStream::on_packet(MonoTime now, const RtpPacket& packet) {
  ++statistics_.packets;
  statistics_.payload_bytes += packet.payload.size();
  last_timestamp_ = packet.timestamp;
  last_sent_ = now;
  sent_since_report_ = true;
}

SenderReport OutboundStream::report(MonoTime now) {
  sent_since_report_ = false;
  SenderReport report;
  report.ssrc = statistics_.ssrc;
  report.ntp = ntp_of(now);
  report.timestamp = last_timestamp_ + units_of(now - last_sent_, clock_rate_);
  report.packets = static_cast<std::uint32_t>(statistics_.packets);
  report.octets = static_cast<std::uint32_t>(statistics_.payload_bytes);
  return report;
}

// RFC 3550 section 6.4.1. A difference below zero is the rounding of a very short round trip.
void OutboundStream::on_report(MonoTime now, const ReportBlock& block) {
  ++statistics_.reports;
  statistics_.last_report = block;
  statistics_.last_report_at = now;
  if (block.last_report == 0) return;
  const auto trip =
      static_cast<std::int32_t>(middle_of(ntp_of(now)) - block.last_report - block.delay);
  statistics_.round_trip = time_of(static_cast<std::uint64_t>(std::max(trip, 0)), 65536);
}

}  // namespace turnpike::media
