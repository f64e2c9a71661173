// TlsContext: certificate, key and policy for server-side TLS or DTLS (OpenSSL). TLS 1.2 and 1.3,
// or DTLS 1.2 behind a stateless cookie; AEAD suites, no renegotiation, no compression, session
// tickets on. ALPN offers `stun.turn` and `stun.nat-discovery` (RFC 7443) and, over TLS,
// `http/1.1`, in this order whatever the client's is. A client that offers only other ids gets no
// agreement: unknown ids are never claimed, and its first byte tells what it speaks. Built once,
// immutable, shared by threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/time.h"

struct ssl_ctx_st;

namespace turnpike::net {

class TlsContext {
 public:
  struct Files {
    std::string certificate;  // PEM chain
    std::string key;          // PEM
  };
  enum class Kind : std::uint8_t { kTls, kDtls };
  // The sentence says which file is unreadable, not PEM, or does not belong to the other.
  static Expected<std::shared_ptr<const TlsContext>> load(const Files& files,
                                                          Kind kind = Kind::kTls);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Whether the certificate is for this host name or address (SAN, wildcards as RFC 9525).
  bool matches_host(std::string_view host) const;
  // SAN DNS names, in order.
  std::vector<std::string> host_names() const;
  // When the certificate itself ends.
  WallTime expires() const;
  // Whether it is the same certificate with the same chain.
  bool is_same_certificate(const TlsContext& other) const;
  ssl_ctx_st* raw() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

// Writes a self-signed ECDSA P-256 certificate for these names and addresses, valid for a year
// (local trials only). The key file gets mode 0600.
Expected<void> write_self_signed(const TlsContext::Files& files,
                                 const std::vector<std::string>& names);

}  // namespace turnpike::net
