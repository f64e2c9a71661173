#include "stun/behavior.h"

#include <algorithm>

#include "base/check.h"

namespace turnpike::stun {
namespace {

// RFC 5780 section 7.2: the bits of CHANGE-REQUEST.
constexpr std::uint32_t kChangeIp = 0x04;
constexpr std::uint32_t kChangePort = 0x02;
// A port, with or without the two bytes of padding behind it counted in: clients differ, because
// section 7.5 can be read both ways.
constexpr std::size_t kPortAlone = 2;
constexpr std::size_t kPortAndPadding = 4;

}  // namespace

std::optional<Behavior::Place> Behavior::find(std::uint16_t listener) const {
  for (const Square& square : squares_) {
    for (const std::size_t address : {0, 1}) {
      for (const std::size_t port : {0, 1}) {
        if (square[address][port].listener == listener) return Place{&square, address, port};
      }
    }
  }
  return std::nullopt;
}

Expected<Behavior::Answer, ErrorCode> Behavior::judge(const MessageView& request,
                                                      std::uint16_t listener) const {
  const auto place = find(listener);
  CHECK(place);
  const auto wrong = tl::make_unexpected(ErrorCode::kBadRequest);
  const auto change = request.u32(Attribute::kChangeRequest);
  if (request.has(Attribute::kChangeRequest) && !change) return wrong;
  const std::size_t change_ip = change && (*change & kChangeIp) != 0 ? 1 : 0;
  const std::size_t change_port = change && (*change & kChangePort) != 0 ? 1 : 0;

  Answer answer;
  const Square& square = *place->square;
  answer.from = square[place->address ^ change_ip][place->port ^ change_port];
  answer.origin = answer.from.address;
  answer.other = square[1 - place->address][1 - place->port].address;
  if (const auto padding = request.value(Attribute::kPadding)) {
    answer.padding = std::min(padding->size(), kMaxPadding);
  }
  if (const auto value = request.value(Attribute::kResponsePort)) {
    const bool readable = value->size() == kPortAlone || value->size() == kPortAndPadding;
    if (answer.padding || !readable) return wrong;
    answer.to_port = Reader(*value).u16();
    if (*answer.to_port == 0) return wrong;
  }
  return answer;
}

}  // namespace turnpike::stun
