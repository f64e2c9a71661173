// TlsContext: certificate, key and policy for server-side TLS or DTLS (OpenSSL). TLS 1.2 and 1.3,
// or DTLS 1.2 behind a stateless cookie; AEAD suites, no renegotiation, no compression, session
// tickets on. ALPN offers `stun.turn` and `stun.nat-discovery` (RFC 7443) and, over TLS,
// `http/1.1`, in this order whatever the client's is. A client that offers only other ids gets no
// agreement: unknown ids are never claimed, and its first byte tells what it speaks. Of several
// certificates a client gets the one for the name it asks for (RFC 6066 section 3), else the first.
// Built once, immutable, shared by threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/time.h"
#include "net/server_names.h"

struct ssl_ctx_st;

namespace turnpike::net {

class TlsContext {
 public:
  static constexpr std::size_t kMaxCertificates = 64;

  struct Files {
    std::string certificate;  // PEM chain
    std::string key;          // PEM
  };
  enum class Kind : std::uint8_t { kTls, kDtls };

  // One of the certificates, with its chain and key.
  struct Certificate {
    std::shared_ptr<ssl_ctx_st> context;
    std::vector<std::string> names;                // SAN DNS names, in order
    WallTime expires;                              // the certificate itself, not its issuers
    bool is_same(const Certificate& other) const;  // with the same chain
  };

  // The sentence says which file is unreadable, not PEM, or does not belong to the other.
  static Expected<std::shared_ptr<const TlsContext>> load(const Files& files,
                                                          Kind kind = Kind::kTls);
  // 1 to kMaxCertificates.
  static Expected<std::shared_ptr<const TlsContext>> load_all(std::span<const Files> files,
                                                              Kind kind = Kind::kTls);
  struct Renewed {
    std::shared_ptr<const TlsContext> context;
    std::vector<std::string> failures;  // why a certificate stays the one before
  };
  // What stands in the files now, as many as `running` was made of. A pair that cannot be used does
  // not keep the others from being renewed.
  static Renewed renew(const TlsContext& running, std::span<const Files> files, Kind kind);

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // As many as there were files, in their order.
  const std::vector<Certificate>& certificates() const { return certificates_; }
  // What a client gets that asks for this name; the first one, for an address or a strange name.
  const Certificate& certificate_for(std::string_view host) const;
  // Whether the certificate that a client gets by this host name or address is for it (SAN,
  // wildcards as RFC 9525).
  bool matches_host(std::string_view host) const;
  // SAN DNS names of all of them, in order.
  std::vector<std::string> host_names() const;
  // When the first of them ends.
  WallTime expires() const;
  // Whether they are the same certificates with the same chains.
  bool is_same_certificate(const TlsContext& other) const;
  // The one that handshakes begin with.
  ssl_ctx_st* raw() const { return certificates_.front().context.get(); }

 private:
  explicit TlsContext(std::vector<Certificate> certificates);

  std::vector<Certificate> certificates_;
  ServerNames names_;
};

// Writes a self-signed ECDSA P-256 certificate for these names and addresses, valid for a year
// (local trials only). The key file gets mode 0600.
Expected<void> write_self_signed(const TlsContext::Files& files,
                                 const std::vector<std::string>& names);

}  // namespace turnpike::net
