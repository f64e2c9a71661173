// Answers: how every response is made, signed and sent, and the Binding request, which is nothing
// but its answer (RFC 8489 sections 6.3 and 12).
#include <span>

#include "base/check.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::ErrorCode;
using stun::MessageView;

}  // namespace

void Server::Core::binding(const Request& request) {
  if (offers_discovery(request.path)) return discover(request);
  const auto unsupported = unsupported_attributes(request.message);
  if (unsupported.count > 0) return refuse(request, ErrorCode::kUnknownAttribute, unsupported);
  if (!may_reply(request)) return;
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, request.message);
  builder.xor_address(Attribute::kXorMappedAddress, request.path.remote);
  statistics_.binding_responses.add();
  answer(request, builder);
}

void Server::Core::answer(const Request& request, Builder& builder) {
  if (request.key != nullptr) builder.message_integrity(*request.key);
  if (request.message.has(Attribute::kFingerprint)) builder.fingerprint();
  const ByteView bytes = builder.finish();
  CHECK(!bytes.empty());
  request.sink.to_client(request.path, Parts{bytes, {}, 0});
}

void Server::Core::answer_plainly(const Request& request) {
  Room room;
  Builder builder = Builder::response(room, Class::kSuccess, request.message);
  answer(request, builder);
}

void Server::Core::refuse(const Request& request, ErrorCode code,
                          const MessageView::UnknownTypes& unknown) {
  if (!may_reply(request)) return;
  Room room;
  Builder builder = Builder::response(room, Class::kError, request.message);
  builder.error(code);
  if (code == ErrorCode::kUnauthorized || code == ErrorCode::kStaleNonce) {
    const auto nonce = nonces_.make(request.now.wall, request.path.remote);
    builder.text(Attribute::kRealm, settings_->credentials.realm())
        .text(Attribute::kNonce, nonce.view());
    statistics_.unauthorized_responses.add();
  }
  if (unknown.count > 0) {
    builder.unknown_attributes(std::span(unknown.types).first(unknown.count));
  }
  statistics_.error_responses.add();
  Event event;
  event.code = static_cast<std::uint16_t>(code);
  event.method = request.message.method();
  event.path = &request.path;
  event.username = request.name;
  request.sink.report(event);
  answer(request, builder);
}

// Who is authenticated gets every answer, and who has a connection is where he says he is.
bool Server::Core::may_reply(const Request& request) {
  if (request.key != nullptr || request.path.transport != Transport::kUdp) return true;
  if (throttle_.allow(request.path.remote.ip, request.now.mono)) return true;
  statistics_.replies_throttled.add();
  return false;
}

}  // namespace turnpike::turn
