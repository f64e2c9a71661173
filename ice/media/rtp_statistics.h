// What receivers and senders count per SSRC (RFC 3550 sections 6.4 and A.1 to A.8): sequence
// numbers with their cycles, loss, jitter, and round trips from reports. Owned by a Session; usable
// alone. Single thread.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "ice/media/rtcp.h"
#include "ice/media/rtp.h"

namespace turnpike::media {

struct InboundStatistics {
  std::uint32_t ssrc = 0;
  std::uint8_t payload_type = 0;  // of the last packet
  std::uint32_t clock_rate = 0;   // 0: not known, so no jitter
  std::uint64_t packets = 0;      // as they came, with duplicates
  std::uint64_t payload_bytes = 0;
  std::uint64_t expected = 0;      // from the sequence numbers
  std::int64_t lost = 0;           // expected - packets: negative with many duplicates
  std::uint8_t fraction_lost = 0;  // of 256, in the interval of the last report
  std::uint32_t highest_sequence = 0;
  std::uint32_t jitter = 0;  // timestamp units
  Duration jitter_time{0};
  std::uint64_t restarts = 0;  // of the sequence: two packets in a row far from the last
  MonoTime last_arrival;
};

class InboundStream {
 public:
  InboundStream(std::uint32_t ssrc, std::uint32_t clock_rate);

  void on_packet(MonoTime now, const RtpPacket& packet);
  void on_sender_report(MonoTime now, const SenderReport& report);
  // Begins the next interval.
  ReportBlock report(MonoTime now);
  // With another payload type another clock may come.
  void set_clock_rate(std::uint32_t clock_rate);

  const InboundStatistics& statistics() const { return statistics_; }

 private:
  static constexpr std::uint16_t kMaxDropout = 3000;  // A.1
  static constexpr std::uint16_t kMaxMisorder = 100;

  bool update_sequence(std::uint16_t sequence);
  void restart_sequence(std::uint16_t sequence);
  void update_jitter(MonoTime now, std::uint32_t timestamp);

  InboundStatistics statistics_;
  bool begun_ = false;
  std::uint32_t base_sequence_ = 0;
  std::uint32_t cycles_ = 0;
  std::uint16_t max_sequence_ = 0;
  std::optional<std::uint16_t> suspect_;  // the next one of a sequence that may have begun anew
  std::uint64_t expected_before_ = 0;     // of the sequences before
  std::uint64_t expected_at_report_ = 0;
  std::uint64_t packets_at_report_ = 0;
  std::optional<std::uint32_t> transit_;
  std::uint32_t scaled_jitter_ = 0;  // sixteen times, A.8
  std::uint32_t last_report_ = 0;
  MonoTime last_report_at_;
};

struct OutboundStatistics {
  std::uint32_t ssrc = 0;
  std::uint64_t packets = 0;
  std::uint64_t payload_bytes = 0;
  // What the other side reports; reports == 0: nothing yet.
  std::uint64_t reports = 0;
  ReportBlock last_report;
  std::optional<Duration> round_trip;
  MonoTime last_report_at;
};

class OutboundStream {
 public:
  OutboundStream(std::uint32_t ssrc, std::uint32_t clock_rate);

  void on_packet(MonoTime now, const RtpPacket& packet);
  SenderReport report(MonoTime now);  // without blocks
  void on_report(MonoTime now, const ReportBlock& block);
  bool sent_since_report() const { return sent_since_report_; }
  void set_clock_rate(std::uint32_t clock_rate) { clock_rate_ = clock_rate; }

  const OutboundStatistics& statistics() const { return statistics_; }

 private:
  OutboundStatistics statistics_;
  std::uint32_t clock_rate_;
  std::uint32_t last_timestamp_ = 0;
  MonoTime last_sent_;
  bool sent_since_report_ = false;
};

}  // namespace turnpike::media
