// Answers: how every response is made, signed and sent, and the Binding request, which is nothing
// but its answer (RFC 8489 sections 6.3 and 12).
#include <algorithm>
#include <array>
#include <span>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "turn/core.h"

namespace turnpike::turn {

namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::ErrorCode;
using stun::MessageView;

constexpr std::size_t size_of_attribute(std::size_t value) {
  return 4 + value + padding_to_four(value);
}
constexpr std::size_t kFingerprintSize = size_of_attribute(4);

// Takes what an optional part needs from what is left of the room for an answer.
bool take(std::size_t& left, std::size_t part) {
  if (part > left) return false;
  left -= part;
  return true;
}

// Whether to ask for a hash in place of the name. Not again of who was refused with one: a name
// that rooms have made up is not found by its hash, and so its client tries with the name itself
// (RFC 8489 section 9.2.5). A wrong password is told the same, which says nothing of who there is.
bool may_hash(const MessageView& message, ErrorCode code) {
  if (message.has(Attribute::kUsername)) return false;
  return !message.has(Attribute::kUserhash) || code == ErrorCode::kStaleNonce;
}

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

// MAPPED-ADDRESS, for clients that know nothing newer, and an identifier of 128 bits; no SOFTWARE,
// whose number they would take for something required (RFC 8489 section 11, RFC 5389 section 12.2).
// RESPONSE-ADDRESS is an unknown attribute: following it would send answers to third parties.
void Server::Core::classic_binding(const Request& request) {
  const auto unknown = unsupported_attributes(request.message);
  if (!may_reply(request)) return;
  Room room;
  const bool secured = request.path.transport == Transport::kDtls;
  const bool fine = unknown.count == 0 && !secured;
  Builder builder =
      Builder::response(room, fine ? Class::kSuccess : Class::kError, request.message);
  if (fine) {
    builder.plain_address(Attribute::kMappedAddress, request.path.remote);
    statistics_.binding_responses.add();
    statistics_.messages.count_answer(request.message.method(), MessageCounters::kSuccess);
  } else {
    const ErrorCode code = secured ? ErrorCode::kServerError : ErrorCode::kUnknownAttribute;
    builder.error(code);
    if (!secured) builder.unknown_attributes(std::span(unknown.types).first(unknown.count));
    statistics_.error_responses.add();
    statistics_.messages.count_answer(request.message.method(), static_cast<std::uint16_t>(code));
  }
  request.sink.to_client(request.path, Parts{builder.finish(), {}, 0});
}

// RFC 8489 section 10: an alternate of the client's own family, then one of the other where there
// is one. Clients are spread over several by their address, so that asking again changes nothing.
void Server::Core::try_alternate(const Request& request) {
  const auto choose = [&](bool same_family) {
    std::array<const AlternateServer*, kMaxAlternateServers> fitting{};
    std::size_t count = 0;
    for (const AlternateServer& server : settings_->alternate_servers) {
      const bool same = server.address.ip.family() == request.path.remote.ip.family();
      if (same == same_family) fitting[count++] = &server;
    }
    return count == 0 ? nullptr : fitting[hash_value(request.path.remote) % count];
  };
  const AlternateServer* first = choose(true);
  const AlternateServer* second = choose(false);
  if (first == nullptr) std::swap(first, second);
  CHECK(first != nullptr);  // every server has one of the two families
  Room room;
  Builder builder = Builder::response(room, Class::kError, request.message);
  builder.error(ErrorCode::kTryAlternate)
      .plain_address(Attribute::kAlternateServer, first->address);
  if (second != nullptr) builder.plain_address(Attribute::kAlternateServer, second->address);
  const bool has_certificate =
      request.path.transport == Transport::kTls || request.path.transport == Transport::kDtls;
  if (has_certificate && !first->domain.empty()) {
    builder.text(Attribute::kAlternateDomain, first->domain);
  }
  report_refusal(request, ErrorCode::kTryAlternate);
  send_answer(request, builder);
}

void Server::Core::answer(const Request& request, Builder& builder) {
  statistics_.messages.count_answer(request.message.method(), MessageCounters::kSuccess);
  send_answer(request, builder);
}

void Server::Core::send_answer(const Request& request, Builder& builder) {
  const bool fingerprint = answers_with_fingerprint(request);
  const std::size_t size = builder.size() + (fingerprint ? kFingerprintSize : 0);
  const std::string& software = settings_->software;
  if (!software.empty() && size + size_of_attribute(software.size()) <= reply_limit(request)) {
    builder.text(Attribute::kSoftware, software);
  }
  if (request.key != nullptr) builder.sign(*request.key);
  if (fingerprint) builder.fingerprint();
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
  if (code == ErrorCode::kUnauthorized || code == ErrorCode::kStaleNonce) {
    if (!add_challenge(request, code, builder)) return;
    statistics_.unauthorized_responses.add();
  } else {
    builder.error(code);
  }
  if (unknown.count > 0) {
    builder.unknown_attributes(std::span(unknown.types).first(unknown.count));
  }
  report_refusal(request, code);
  send_answer(request, builder);
}

void Server::Core::report_refusal(const Request& request, ErrorCode code) {
  statistics_.error_responses.add();
  Event event;
  event.code = static_cast<std::uint16_t>(code);
  statistics_.messages.count_answer(request.message.method(), event.code);
  event.method = request.message.method();
  event.path = &request.path;
  event.username = request.name;
  request.sink.report(event);
}

// REALM and NONCE always; THIRD-PARTY-AUTHORIZATION, PASSWORD-ALGORITHMS and a phrase where there
// is room for them, in this order. False: there is not even room for a challenge.
bool Server::Core::add_challenge(const Request& request, ErrorCode code, Builder& builder) {
  const Credentials& credentials = settings_->credentials;
  std::size_t left = reply_limit(request);
  const std::size_t least = builder.size() + size_of_attribute(4) +
                            size_of_attribute(credentials.realm().size()) +
                            size_of_attribute(stun::NonceSource::kLength) +
                            (answers_with_fingerprint(request) ? kFingerprintSize : 0);
  if (!take(left, least)) {
    statistics_.replies_throttled.add();
    return false;
  }
  const std::string& server_name = settings_->token_keys.server_name();
  const bool third_party =
      !settings_->token_keys.empty() && take(left, size_of_attribute(server_name.size()));
  const auto list = ByteView(stun::kPasswordAlgorithmList);
  const bool algorithms =
      credentials.offers_algorithms() && take(left, size_of_attribute(list.size()));
  const bool phrase = take(left, size_of_attribute(stun::reason_phrase(code).size()) - 4);
  stun::NonceFeatures features = 0;
  if (algorithms) features |= stun::kFeaturePasswordAlgorithms;
  if (credentials.announces_userhash() && may_hash(request.message, code)) {
    features |= stun::kFeatureUsernameAnonymity;
  }
  const auto nonce = nonces_.make(request.now.wall, request.path.remote, features);
  builder.error(code, phrase ? Builder::Phrase::kStandard : Builder::Phrase::kNone)
      .text(Attribute::kRealm, credentials.realm())
      .text(Attribute::kNonce, nonce.view());
  if (algorithms) builder.bytes(Attribute::kPasswordAlgorithms, list);
  if (third_party) builder.text(Attribute::kThirdPartyAuthorization, server_name);
  return true;
}

// Whoever forged the source of a datagram gains nothing by it: before authentication an answer over
// UDP is at most three times as long as the request, headers of IP and UDP counted.
std::size_t Server::Core::reply_limit(const Request& request) const {
  constexpr std::size_t kFactor = 3;
  const std::size_t unlimited = std::tuple_size_v<Room>;
  if (request.key != nullptr || request.path.transport != Transport::kUdp) return unlimited;
  const std::size_t headers = (request.path.remote.ip.is_v4() ? 20 : 40) + 8;
  return std::min(unlimited, kFactor * (request.message.bytes().size() + headers) - headers);
}

bool Server::Core::answers_with_fingerprint(const Request& request) const {
  return settings_->always_fingerprint || request.message.has(Attribute::kFingerprint);
}

// Who is authenticated gets every answer, and who has a connection is where he says he is.
bool Server::Core::may_reply(const Request& request) {
  if (request.key != nullptr || request.path.transport != Transport::kUdp) return true;
  if (throttle_.allow(request.path.remote.ip, request.now.mono)) return true;
  statistics_.replies_throttled.add();
  return false;
}

}  // namespace turnpike::turn
