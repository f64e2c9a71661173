#include "ice/media/rtcp.h"

#include <algorithm>

namespace turnpike::media {
namespace {

// Packet types, and the formats of feedback (RFC 4585 section 6, RFC 5104 section 4.3).
constexpr std::uint8_t kSenderReport = 200;
constexpr std::uint8_t kReceiverReport = 201;
constexpr std::uint8_t kSourceDescription = 202;
constexpr std::uint8_t kGoodbye = 203;
constexpr std::uint8_t kTransportFeedback = 205;
constexpr std::uint8_t kPayloadFeedback = 206;
constexpr std::uint8_t kFormatNack = 1;
constexpr std::uint8_t kFormatTransportWide = 15;
constexpr std::uint8_t kFormatPli = 1;
constexpr std::uint8_t kFormatFir = 4;
constexpr std::uint8_t kFormatApplication = 15;
constexpr std::uint8_t kCname = 1;
constexpr std::uint32_t kRemb = 0x52454d42;  // "REMB"
constexpr std::size_t kMaxCount = 31;
constexpr std::uint8_t kVersionBits = 2 << 6;

struct Packet {
  std::uint8_t count = 0;  // or format
  std::uint8_t type = 0;
  ByteView body;
};

// The next packet of the compound; padding is cut off. Nothing: it is broken.
std::optional<Packet> next_packet(Reader& in) {
  const std::uint8_t first = in.u8();
  Packet packet{static_cast<std::uint8_t>(first & 31), in.u8(), {}};
  packet.body = in.bytes(std::size_t{in.u16()} * 4);
  if (!in.ok() || first >> 6 != 2 || packet.type < 192 || packet.type > 223) return std::nullopt;
  if ((first & 0x20) != 0) {
    if (packet.body.empty() || packet.body.back() == 0 || packet.body.back() > packet.body.size()) {
      return std::nullopt;
    }
    packet.body = packet.body.first(packet.body.size() - packet.body.back());
  }
  return packet;
}

std::vector<ReportBlock> read_blocks(Reader& in, std::uint8_t count) {
  std::vector<ReportBlock> blocks;
  for (std::uint8_t i = 0; i < count; ++i) {
    ReportBlock block;
    block.ssrc = in.u32();
    const std::uint32_t lost = in.u32();
    block.fraction_lost = static_cast<std::uint8_t>(lost >> 24);
    block.cumulative_lost = static_cast<std::int32_t>(lost << 8) >> 8;
    block.highest_sequence = in.u32();
    block.jitter = in.u32();
    block.last_report = in.u32();
    block.delay = in.u32();
    if (!in.ok()) break;
    blocks.push_back(block);
  }
  return blocks;
}

std::optional<RtcpMessage> read_sender_report(const Packet& packet) {
  Reader in(packet.body);
  SenderReport report;
  report.ssrc = in.u32();
  report.ntp = in.u64();
  report.timestamp = in.u32();
  report.packets = in.u32();
  report.octets = in.u32();
  report.blocks = read_blocks(in, packet.count);
  if (!in.ok()) return std::nullopt;
  return report;
}

std::optional<RtcpMessage> read_receiver_report(const Packet& packet) {
  Reader in(packet.body);
  ReceiverReport report;
  report.ssrc = in.u32();
  report.blocks = read_blocks(in, packet.count);
  if (!in.ok()) return std::nullopt;
  return report;
}

bool read_source_descriptions(const Packet& packet, std::vector<RtcpMessage>& messages) {
  Reader in(packet.body);
  for (std::uint8_t i = 0; i < packet.count; ++i) {
    SourceDescription source;
    source.ssrc = in.u32();
    // A chunk ends with a zero, and with as many more as fill the word.
    for (std::uint8_t item = in.u8(); in.ok() && item != 0; item = in.u8()) {
      const ByteView text = in.bytes(in.u8());
      if (item == kCname) source.cname = as_text(text);
    }
    in.skip(padding_to_four(in.position()));
    if (!in.ok()) return false;
    if (messages.size() < kMaxRtcpMessages) messages.emplace_back(std::move(source));
  }
  return true;
}

std::optional<RtcpMessage> read_goodbye(const Packet& packet) {
  Reader in(packet.body);
  Goodbye goodbye;
  for (std::uint8_t i = 0; i < packet.count; ++i) goodbye.ssrcs.push_back(in.u32());
  if (!in.ok()) return std::nullopt;
  return goodbye;
}

std::optional<RtcpMessage> read_nack(Reader& in) {
  Nack nack;
  nack.sender = in.u32();
  nack.media = in.u32();
  while (in.ok() && in.remaining() >= 4) {
    const std::uint16_t first = in.u16();
    const std::uint16_t following = in.u16();
    nack.lost.push_back(first);
    for (unsigned bit = 0; bit < 16; ++bit) {
      if ((following >> bit & 1) != 0) {
        nack.lost.push_back(static_cast<std::uint16_t>(first + bit + 1));
      }
    }
  }
  if (!in.ok()) return std::nullopt;
  return nack;
}

std::optional<RtcpMessage> read_transport_wide(Reader& in) {
  TransportFeedback feedback;
  feedback.sender = in.u32();
  feedback.media = in.u32();
  feedback.base_sequence = in.u16();
  feedback.packets = in.u16();
  if (!in.ok()) return std::nullopt;
  return feedback;
}

std::optional<RtcpMessage> read_full_intra_request(Reader& in) {
  FullIntraRequest request;
  request.sender = in.u32();
  in.skip(4);
  while (in.ok() && in.remaining() >= 8) {
    FullIntraRequest::Entry entry;
    entry.ssrc = in.u32();
    entry.sequence = in.u8();
    in.skip(3);
    request.entries.push_back(entry);
  }
  if (!in.ok()) return std::nullopt;
  return request;
}

std::optional<RtcpMessage> read_bitrate_estimate(Reader& in) {
  BitrateEstimate estimate;
  estimate.sender = in.u32();
  in.skip(4);
  if (in.u32() != kRemb) return std::nullopt;
  const std::uint8_t count = in.u8();
  const std::uint32_t high = in.u8();
  const std::uint32_t rate = high << 16 | in.u16();
  const std::uint32_t exponent = rate >> 18;
  if (exponent > 45) return std::nullopt;  // would not fit in 64 bits
  estimate.bits_per_second = std::uint64_t{rate & 0x3ffff} << exponent;
  for (std::uint8_t i = 0; i < count; ++i) estimate.ssrcs.push_back(in.u32());
  if (!in.ok()) return std::nullopt;
  return estimate;
}

std::optional<RtcpMessage> read_feedback(const Packet& packet) {
  Reader in(packet.body);
  if (packet.type == kTransportFeedback) {
    if (packet.count == kFormatNack) return read_nack(in);
    if (packet.count == kFormatTransportWide) return read_transport_wide(in);
    return std::nullopt;
  }
  if (packet.count == kFormatPli) {
    PictureLoss loss;
    loss.sender = in.u32();
    loss.media = in.u32();
    if (!in.ok()) return std::nullopt;
    return loss;
  }
  if (packet.count == kFormatFir) return read_full_intra_request(in);
  if (packet.count == kFormatApplication) return read_bitrate_estimate(in);
  return std::nullopt;
}

// False: a packet that everybody has to understand is broken. Feedback that is not understood may
// be of a kind that came later.
bool read_packet(const Packet& packet, std::vector<RtcpMessage>& messages) {
  std::optional<RtcpMessage> message;
  switch (packet.type) {
    case kSenderReport:
      message = read_sender_report(packet);
      if (!message) return false;
      break;
    case kReceiverReport:
      message = read_receiver_report(packet);
      if (!message) return false;
      break;
    case kGoodbye:
      message = read_goodbye(packet);
      if (!message) return false;
      break;
    case kSourceDescription:
      return read_source_descriptions(packet, messages);
    case kTransportFeedback:
    case kPayloadFeedback:
      message = read_feedback(packet);
      break;
    default:
      break;
  }
  if (message && messages.size() < kMaxRtcpMessages) messages.push_back(std::move(*message));
  return true;
}

void write_head(Writer& out, std::size_t count, std::uint8_t type, std::size_t body) {
  out.u8(static_cast<std::uint8_t>(kVersionBits | count));
  out.u8(type);
  out.u16(static_cast<std::uint16_t>(body / 4));
}

void write_blocks(Writer& out, const std::vector<ReportBlock>& blocks) {
  for (const ReportBlock& block : blocks) {
    const std::int32_t lost = std::clamp(block.cumulative_lost, -0x800000, 0x7fffff);
    out.u32(block.ssrc);
    out.u32(std::uint32_t{block.fraction_lost} << 24 |
            (static_cast<std::uint32_t>(lost) & 0xffffff));
    out.u32(block.highest_sequence);
    out.u32(block.jitter);
    out.u32(block.last_report);
    out.u32(block.delay);
  }
}

}  // namespace

std::optional<std::vector<RtcpMessage>> parse_rtcp(ByteView compound) {
  std::vector<RtcpMessage> messages;
  Reader in(compound);
  if (in.remaining() == 0) return std::nullopt;
  while (in.remaining() > 0) {
    const auto packet = next_packet(in);
    if (!packet || !read_packet(*packet, messages)) return std::nullopt;
  }
  return messages;
}

bool write_sender_report(Writer& out, const SenderReport& report) {
  if (report.blocks.size() > kMaxCount) return false;
  write_head(out, report.blocks.size(), kSenderReport, 24 + report.blocks.size() * 24);
  out.u32(report.ssrc);
  out.u64(report.ntp);
  out.u32(report.timestamp);
  out.u32(report.packets);
  out.u32(report.octets);
  write_blocks(out, report.blocks);
  return out.ok();
}

bool write_receiver_report(Writer& out, const ReceiverReport& report) {
  if (report.blocks.size() > kMaxCount) return false;
  write_head(out, report.blocks.size(), kReceiverReport, 4 + report.blocks.size() * 24);
  out.u32(report.ssrc);
  write_blocks(out, report.blocks);
  return out.ok();
}

bool write_source_description(Writer& out, std::uint32_t ssrc, std::string_view cname) {
  if (cname.size() > 255) return false;
  const std::size_t chunk = 4 + 2 + cname.size() + 1;
  const std::size_t padding = padding_to_four(chunk);
  write_head(out, 1, kSourceDescription, chunk + padding);
  out.u32(ssrc);
  out.u8(kCname);
  out.u8(static_cast<std::uint8_t>(cname.size()));
  out.bytes(as_bytes(cname));
  out.zeros(1 + padding);
  return out.ok();
}

bool write_goodbye(Writer& out, const Goodbye& goodbye) {
  if (goodbye.ssrcs.size() > kMaxCount) return false;
  write_head(out, goodbye.ssrcs.size(), kGoodbye, goodbye.ssrcs.size() * 4);
  for (const std::uint32_t ssrc : goodbye.ssrcs) out.u32(ssrc);
  return out.ok();
}

bool write_picture_loss(Writer& out, const PictureLoss& loss) {
  write_head(out, kFormatPli, kPayloadFeedback, 8);
  out.u32(loss.sender);
  out.u32(loss.media);
  return out.ok();
}

bool write_full_intra_request(Writer& out, const FullIntraRequest& request) {
  if (request.entries.size() > kMaxCount) return false;
  write_head(out, kFormatFir, kPayloadFeedback, 8 + request.entries.size() * 8);
  out.u32(request.sender);
  out.u32(0);
  for (const FullIntraRequest::Entry& entry : request.entries) {
    out.u32(entry.ssrc);
    out.u8(entry.sequence);
    out.zeros(3);
  }
  return out.ok();
}

bool write_nack(Writer& out, const Nack& nack) {
  std::vector<std::pair<std::uint16_t, std::uint16_t>> entries;
  for (const std::uint16_t sequence : nack.lost) {
    if (!entries.empty()) {
      const auto distance = static_cast<std::uint16_t>(sequence - entries.back().first);
      if (distance == 0) continue;
      if (distance <= 16) {
        entries.back().second =
            static_cast<std::uint16_t>(entries.back().second | 1u << (distance - 1));
        continue;
      }
    }
    entries.emplace_back(sequence, 0);
  }
  if (entries.size() > 0xffff - 2) return false;
  write_head(out, kFormatNack, kTransportFeedback, 8 + entries.size() * 4);
  out.u32(nack.sender);
  out.u32(nack.media);
  for (const auto& [first, following] : entries) {
    out.u16(first);
    out.u16(following);
  }
  return out.ok();
}

bool write_bitrate_estimate(Writer& out, const BitrateEstimate& estimate) {
  if (estimate.ssrcs.size() > 255) return false;
  std::uint32_t exponent = 0;
  while (estimate.bits_per_second >> exponent > 0x3ffff) ++exponent;
  write_head(out, kFormatApplication, kPayloadFeedback, 16 + estimate.ssrcs.size() * 4);
  out.u32(estimate.sender);
  out.u32(0);
  out.u32(kRemb);
  const auto mantissa = static_cast<std::uint32_t>(estimate.bits_per_second >> exponent);
  out.u32(static_cast<std::uint32_t>(estimate.ssrcs.size()) << 24 | exponent << 18 | mantissa);
  for (const std::uint32_t ssrc : estimate.ssrcs) out.u32(ssrc);
  return out.ok();
}

std::uint64_t ntp_of(MonoTime now) {
  const auto whole = std::chrono::duration_cast<seconds>(now.since_start);
  const auto rest = static_cast<std::uint64_t>((now.since_start - whole).count());
  return static_cast<std::uint64_t>(whole.count()) << 32 | (rest << 32) / 1'000'000'000u;
}

}  // namespace turnpike::media
