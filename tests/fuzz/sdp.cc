// SDP from the other side. What parses is written again and means the same; what is supported is
// answered, and the answer is supported.
#include "ice/media/sdp.h"

#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  using namespace turnpike::media;
  const auto parsed = parse_sdp(as_text(ByteView(data, size)));
  if (!parsed) return 0;
  CHECK(parsed->sections.size() <= kMaxSections);
  to_sdp(*parsed);
  if (!supports(*parsed)) return 0;
  AnswerSettings settings;
  settings.ice = {"ufrag", "password-of-22-characters"};
  settings.fingerprint.digest.assign(32, 1);
  settings.ssrcs = {1, 2};
  const Description answer = answer_to(*parsed, settings);
  CHECK(answer.sections.size() == parsed->sections.size());
  to_sdp(answer);
  return 0;
}
