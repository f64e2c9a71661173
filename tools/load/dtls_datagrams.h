// DTLS on a connected UDP socket that somebody else owns: datagrams in, datagrams out, and what
// the socket does not take is lost. What turnpike-load speaks STUN over as a DTLS client. Owned by
// its link; one thread.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "base/address.h"
#include "base/bytes.h"
#include "tools/load/byte_stream.h"

namespace turnpike::load {

// A client's context that trusts every certificate: what is measured is the server.
TlsContext make_dtls_context();

class DtlsDatagrams {
 public:
  DtlsDatagrams(SSL_CTX* context, int fd, const Address& server);

  bool is_open() const { return state_ == State::kOpen; }
  bool has_failed() const { return state_ == State::kFailed; }
  bool wants_write() const { return state_ == State::kNew; }

  // Goes on with the handshake, and sends again what was lost of it; true when open.
  bool advance();
  void send(ByteView message);
  // A datagram that has come, valid until the next call of any of these; empty: nothing more now.
  ByteView read();

 private:
  enum class State : std::uint8_t { kNew, kHandshaking, kOpen, kFailed };

  State state_ = State::kNew;
  std::unique_ptr<SSL, SslFree> ssl_;
};

}  // namespace turnpike::load
