// Binding requests where NAT behaviour discovery is offered (RFC 5780 section 6.1): the answer may
// leave from another socket, for another port, and longer than it need be. Only over UDP.
#include <algorithm>
#include <span>

#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Behavior;
using stun::Builder;
using stun::MessageView;

constexpr std::array kOfDiscovery = {Attribute::kChangeRequest, Attribute::kPadding,
                                     Attribute::kResponsePort};
constexpr std::array<std::uint8_t, Behavior::kMaxPadding> kPaddingBytes{};

MessageView::UnknownTypes not_understood(const MessageView& message) {
  const MessageView::UnknownTypes all = unsupported_attributes(message);
  MessageView::UnknownTypes rest;
  for (const std::uint16_t type : std::span(all.types).first(all.count)) {
    const bool ours = std::any_of(kOfDiscovery.begin(), kOfDiscovery.end(), [type](Attribute a) {
      return static_cast<std::uint16_t>(a) == type;
    });
    if (!ours) rest.types[rest.count++] = type;
  }
  return rest;
}

}  // namespace

bool Server::Core::offers_discovery(const Path& path) const {
  return path.transport == Transport::kUdp && settings_->behavior.offered_on(path.listener);
}

void Server::Core::discover(const Request& request) {
  const auto unknown = not_understood(request.message);
  if (unknown.count > 0) return refuse(request, stun::ErrorCode::kUnknownAttribute, unknown);
  const auto judged = settings_->behavior.judge(request.message, request.path.listener);
  if (!judged) return refuse(request, judged.error());
  if (!may_reply(request)) return;

  std::array<std::uint8_t, sizeof(Room) + Behavior::kMaxPadding> room;
  Builder builder = Builder::response(room, stun::Class::kSuccess, request.message);
  builder.xor_address(Attribute::kXorMappedAddress, request.path.remote)
      .plain_address(Attribute::kMappedAddress, request.path.remote)
      .plain_address(Attribute::kResponseOrigin, judged->origin)
      .plain_address(Attribute::kOtherAddress, judged->other);
  if (judged->padding) {
    builder.bytes(Attribute::kPadding, ByteView(kPaddingBytes).first(*judged->padding));
  }
  Path way = request.path;
  way.listener = judged->from.listener;
  way.local = judged->from.local;
  if (judged->to_port) way.remote.port = *judged->to_port;
  statistics_.binding_responses.add();
  answer({request.now, way, request.message, request.sink, request.name, request.key}, builder);
}

}  // namespace turnpike::turn
