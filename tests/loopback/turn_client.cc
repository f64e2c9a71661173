#include "tests/loopback/turn_client.h"

#include <array>
#include <cstring>
#include <utility>

#include "base/random.h"
#include "stun/integrity.h"

namespace turnpike::loopback {
namespace {

using stun::Attribute;
using stun::Builder;
using stun::Class;
using stun::Method;

constexpr int kMaxChallenges = 3;
constexpr std::size_t kRequestRoom = 1024;
constexpr std::uint16_t kUnauthorized = 401;
constexpr std::uint16_t kStaleNonce = 438;

stun::TransactionId transaction(std::uint64_t number) {
  stun::TransactionId id{};
  std::memcpy(id.data(), &number, sizeof number);
  return id;
}

}  // namespace

TurnClient::TurnClient(std::unique_ptr<Transport> transport, std::string username,
                       std::string password)
    : transport_(std::move(transport)),
      username_(std::move(username)),
      password_(std::move(password)),
      next_transaction_(SystemRandom().u64()) {}

std::optional<Address> TurnClient::binding() {
  std::array<std::uint8_t, 64> room{};
  const stun::TransactionId id = transaction(next_transaction_++);
  Builder builder(room, Class::kRequest, Method::kBinding, id);
  const auto answer = exchange(builder.fingerprint().finish(), id);
  if (!answer) return std::nullopt;
  const auto message = stun::MessageView::parse(*answer);
  if (!message || !message->is(Class::kSuccess, Method::kBinding)) return std::nullopt;
  return message->xor_address(Attribute::kXorMappedAddress);
}

int TurnClient::allocate(std::optional<Family> family) {
  return request(Method::kAllocate, [&](Builder& builder) {
    builder.requested_transport(stun::kProtocolUdp);
    if (family) builder.requested_address_family(*family);
  });
}

int TurnClient::refresh(std::uint32_t lifetime) {
  return request(Method::kRefresh,
                 [&](Builder& builder) { builder.u32(Attribute::kLifetime, lifetime); });
}

int TurnClient::permit(const Address& peer) {
  return request(Method::kCreatePermission,
                 [&](Builder& builder) { builder.xor_address(Attribute::kXorPeerAddress, peer); });
}

int TurnClient::bind_channel(std::uint16_t channel, const Address& peer) {
  return request(Method::kChannelBind, [&](Builder& builder) {
    builder.channel_number(channel).xor_address(Attribute::kXorPeerAddress, peer);
  });
}

template <typename Fill>
int TurnClient::request(Method method, const Fill& fill) {
  for (int challenge = 0; challenge < kMaxChallenges; ++challenge) {
    std::array<std::uint8_t, kRequestRoom> room{};
    const stun::TransactionId id = transaction(next_transaction_++);
    Builder builder(room, Class::kRequest, method, id);
    fill(builder);
    if (!nonce_.empty()) {
      builder.text(Attribute::kUsername, username_).text(Attribute::kRealm, realm_);
      builder.text(Attribute::kNonce, nonce_);
      builder.message_integrity(stun::long_term_key(username_, realm_, password_));
    }
    const auto answer = exchange(builder.finish(), id);
    if (!answer) return kNoAnswer;
    const auto message = stun::MessageView::parse(*answer);
    if (!message) return kNoAnswer;
    if (message->message_class() == Class::kSuccess) {
      take_answer(*message);
      return 0;
    }
    const int code = message->error_code() ? message->error_code()->code : kNoAnswer;
    const bool first_401 = code == kUnauthorized && nonce_.empty();
    if (!first_401 && code != kStaleNonce) return code;
    realm_ = message->text(Attribute::kRealm).value_or(realm_);
    nonce_ = message->text(Attribute::kNonce).value_or("");
  }
  return kStaleNonce;
}

void TurnClient::take_answer(const stun::MessageView& answer) {
  if (answer.is(Class::kSuccess, Method::kAllocate)) {
    relayed_ = answer.xor_address(Attribute::kXorRelayedAddress).value_or(Address{});
    mapped_ = answer.xor_address(Attribute::kXorMappedAddress).value_or(Address{});
  }
  lifetime_ = answer.u32(Attribute::kLifetime).value_or(lifetime_);
}

std::optional<Bytes> TurnClient::exchange(ByteView message, const stun::TransactionId& id) {
  if (!transport_->send(message)) return std::nullopt;
  while (auto got = transport_->receive()) {
    const auto parsed = stun::MessageView::parse(*got);
    if (parsed && parsed->transaction_id() == id) return got;
    waiting_.push_back(std::move(*got));
  }
  return std::nullopt;
}

bool TurnClient::send_indication(const Address& peer, ByteView data) {
  Bytes room(data.size() + 128);
  Builder builder(room, Class::kIndication, Method::kSend, transaction(next_transaction_++));
  builder.xor_address(Attribute::kXorPeerAddress, peer).bytes(Attribute::kData, data);
  return transport_->send(builder.finish());
}

bool TurnClient::send_channel(std::uint16_t channel, ByteView data) {
  Bytes room(4 + data.size());
  Writer out(room);
  out.u16(channel);
  out.u16(static_cast<std::uint16_t>(data.size()));
  out.bytes(data);
  return transport_->send(out.written());
}

std::optional<TurnClient::Data> TurnClient::receive_data(std::chrono::milliseconds patience) {
  while (true) {
    std::optional<Bytes> got;
    if (waiting_.empty()) {
      got = transport_->receive(patience);
      if (!got) return std::nullopt;
    } else {
      got = std::move(waiting_.front());
      waiting_.pop_front();
    }
    Reader in(*got);
    const std::uint16_t first = in.u16();
    if (first >= 0x4000) {
      const ByteView payload = in.bytes(in.u16());
      return Data{{}, first, Bytes(payload.begin(), payload.end())};
    }
    const auto message = stun::MessageView::parse(*got);
    if (!message || !message->is(Class::kIndication, Method::kData)) continue;
    const auto peer = message->xor_address(Attribute::kXorPeerAddress);
    const auto data = message->value(Attribute::kData);
    if (peer && data) return Data{*peer, 0, Bytes(data->begin(), data->end())};
  }
}

}  // namespace turnpike::loopback
