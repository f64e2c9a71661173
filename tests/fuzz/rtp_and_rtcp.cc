// RTP and RTCP of an authentic peer that is not benign. RTP that parses is written to the same
// bytes again.
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "ice/media/rtcp.h"
#include "ice/media/rtp.h"
#include "ice/media/rtp_statistics.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  using namespace turnpike::media;
  const ByteView bytes(data, size);
  if (const auto packet = parse_rtp(bytes)) {
    std::vector<std::uint8_t> room(size);
    Writer out(room);
    for (int id = 0; id < 256; ++id) packet->extension_of(static_cast<std::uint8_t>(id));
    if (packet->extension_profile != 0 || (data[0] & 0x10) == 0) {
      CHECK(write_rtp(out, *packet));
      CHECK(out.size() == size);
    }
    static InboundStream stream(1, 90'000);
    stream.on_packet({Duration(packet->timestamp)}, *packet);
    stream.report({Duration(packet->timestamp)});
  }
  if (const auto messages = parse_rtcp(bytes)) {
    CHECK(messages->size() <= kMaxRtcpMessages);
    static OutboundStream stream(1, 90'000);
    for (const RtcpMessage& message : *messages) {
      const auto* report = std::get_if<ReceiverReport>(&message);
      if (report == nullptr) continue;
      for (const ReportBlock& block : report->blocks) stream.on_report({}, block);
    }
  }
  return 0;
}
