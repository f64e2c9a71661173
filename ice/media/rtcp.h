// RTCP (RFC 3550 section 6, RFC 4585, RFC 5104): compound packets, parsed to values and written.
// What this does not know is skipped. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace turnpike::media {

struct ReportBlock {
  std::uint32_t ssrc = 0;              // whose packets are reported on
  std::uint8_t fraction_lost = 0;      // of 256, since the report before
  std::int32_t cumulative_lost = 0;    // 24 bits; negative when more came than was expected
  std::uint32_t highest_sequence = 0;  // cycles in the upper half
  std::uint32_t jitter = 0;            // in timestamp units
  std::uint32_t last_report = 0;       // the middle of the NTP time of the last SR; 0: none yet
  std::uint32_t delay = 0;             // since then, in 1/65536 s
};

struct SenderReport {
  std::uint32_t ssrc = 0;
  std::uint64_t ntp = 0;
  std::uint32_t timestamp = 0;  // the same instant in RTP's units
  std::uint32_t packets = 0;
  std::uint32_t octets = 0;
  std::vector<ReportBlock> blocks;
};
struct ReceiverReport {
  std::uint32_t ssrc = 0;
  std::vector<ReportBlock> blocks;
};
struct SourceDescription {  // one of a chunk
  std::uint32_t ssrc = 0;
  std::string cname;  // empty when it was not told
};
struct Goodbye {
  std::vector<std::uint32_t> ssrcs;
};
struct PictureLoss {  // PLI
  std::uint32_t sender = 0;
  std::uint32_t media = 0;
};
struct FullIntraRequest {  // FIR
  struct Entry {
    std::uint32_t ssrc = 0;
    std::uint8_t sequence = 0;
  };
  std::uint32_t sender = 0;
  std::vector<Entry> entries;
};
struct Nack {
  std::uint32_t sender = 0;
  std::uint32_t media = 0;
  std::vector<std::uint16_t> lost;  // sequence numbers
};
struct BitrateEstimate {  // REMB
  std::uint32_t sender = 0;
  std::uint64_t bits_per_second = 0;
  std::vector<std::uint32_t> ssrcs;
};
struct TransportFeedback {  // transport-wide congestion control, as far as its own header
  std::uint32_t sender = 0;
  std::uint32_t media = 0;
  std::uint16_t base_sequence = 0;
  std::uint16_t packets = 0;
};

using RtcpMessage =
    std::variant<SenderReport, ReceiverReport, SourceDescription, Goodbye, PictureLoss,
                 FullIntraRequest, Nack, BitrateEstimate, TransportFeedback>;

inline constexpr std::size_t kMaxRtcpMessages = 64;  // of one compound packet; the rest is ignored

// Nothing when it is not RTCP from beginning to end. Reduced-size packets (RFC 5506) are accepted.
std::optional<std::vector<RtcpMessage>> parse_rtcp(ByteView compound);

// Each appends one packet of a compound. False when there is no room for it, or a count is too big
// (31 blocks, 31 sources).
bool write_sender_report(Writer& out, const SenderReport& report);
bool write_receiver_report(Writer& out, const ReceiverReport& report);
bool write_source_description(Writer& out, std::uint32_t ssrc, std::string_view cname);
bool write_goodbye(Writer& out, const Goodbye& goodbye);
bool write_picture_loss(Writer& out, const PictureLoss& loss);
bool write_full_intra_request(Writer& out, const FullIntraRequest& request);
bool write_nack(Writer& out, const Nack& nack);
bool write_bitrate_estimate(Writer& out, const BitrateEstimate& estimate);

// Seconds and their fraction, as NTP writes them. They are counted from the start of the monotonic
// clock: only differences matter to anybody (RFC 3550 section 4), and those are right this way.
std::uint64_t ntp_of(MonoTime now);

}  // namespace turnpike::media
