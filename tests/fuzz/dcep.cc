// What opens a data channel: whatever parses is written to the same bytes again, but for types of
// channels that have no parameter and say one.
#include "ice/media/dcep.h"

#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  using namespace turnpike::media;
  const ByteView message(data, size);
  is_channel_ack(message);
  const auto options = parse_channel_open(message);
  if (!options) return 0;
  const auto again = write_channel_open(*options);
  CHECK(again.size() == size);
  const auto parsed = parse_channel_open(again);
  CHECK(parsed && *parsed == *options);
  return 0;
}
