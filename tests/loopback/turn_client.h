// A small blocking TURN client for tests: every call sends one request and waits for its answer,
// following 401 and 438. Data that arrives meanwhile waits for receive_data().
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stun/builder.h"
#include "stun/message.h"
#include "tests/loopback/transport.h"

namespace turnpike::loopback {

class TurnClient {
 public:
  TurnClient(std::unique_ptr<Transport> transport, std::string username = "",
             std::string password = "");

  // Our address as the server sees it; nullopt without an answer.
  std::optional<Address> binding();

  // These answer 0 for success, the error code of a refusal, or kNoAnswer.
  static constexpr int kNoAnswer = -1;
  int allocate(std::optional<Family> family = {});
  int refresh(std::uint32_t lifetime);
  int permit(const Address& peer);
  int bind_channel(std::uint16_t channel, const Address& peer);

  bool send_indication(const Address& peer, ByteView data);
  bool send_channel(std::uint16_t channel, ByteView data);

  struct Data {
    Address peer;               // of a Data indication
    std::uint16_t channel = 0;  // of ChannelData
    Bytes bytes;
  };
  std::optional<Data> receive_data(std::chrono::milliseconds patience = kPatience);

  const Address& relayed() const { return relayed_; }
  const Address& mapped() const { return mapped_; }
  std::uint32_t lifetime() const { return lifetime_; }
  Transport& transport() { return *transport_; }

 private:
  template <typename Fill>
  int request(stun::Method method, const Fill& fill);
  std::optional<Bytes> exchange(ByteView message, const stun::TransactionId& id);
  void take_answer(const stun::MessageView& answer);

  std::unique_ptr<Transport> transport_;
  std::string username_, password_, realm_, nonce_;
  std::uint64_t next_transaction_;
  Address relayed_, mapped_;
  std::uint32_t lifetime_ = 0;
  std::deque<Bytes> waiting_;
};

}  // namespace turnpike::loopback
