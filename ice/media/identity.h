// Identity: the key and the self-signed certificate that an endpoint speaks DTLS with (ECDSA P-256,
// as browsers make them), and the libssl context of both roles. One for a process is enough; it
// outlives the sessions that were given it. Single thread.
#pragma once

#include <memory>

#include "ice/media/fingerprint.h"

struct ssl_ctx_st;

namespace turnpike::media {

class Identity {
 public:
  // A new key and certificate. nullptr when libcrypto has no memory or randomness for them.
  static std::unique_ptr<Identity> create();
  ~Identity();
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  const Fingerprint& fingerprint() const { return fingerprint_; }  // sha-256, for SDP
  ssl_ctx_st* context() const { return context_; }

 private:
  Identity() = default;

  ssl_ctx_st* context_ = nullptr;
  Fingerprint fingerprint_;
};

}  // namespace turnpike::media
