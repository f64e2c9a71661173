#include "net/tls_client_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"

namespace turnpike::net {

Expected<std::shared_ptr<const TlsClientContext>> TlsClientContext::load(
    const std::string& ca_file) {
  SSL_CTX* raw = SSL_CTX_new(TLS_client_method());
  CHECK(raw != nullptr);
  std::shared_ptr<const TlsClientContext> context(new TlsClientContext(raw));
  CHECK(SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) == 1);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  // An answer says itself how long it is.
  SSL_CTX_set_options(
      raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const bool loaded = ca_file.empty()
                          ? SSL_CTX_set_default_verify_paths(raw) == 1
                          : SSL_CTX_load_verify_locations(raw, ca_file.c_str(), nullptr) == 1;
  ERR_clear_error();
  if (loaded) return context;
  return failure(ca_file.empty() ? "cannot read the system's certificate authorities"
                                 : "cannot read certificates from " + ca_file +
                                       ": expected PEM (-----BEGIN CERTIFICATE-----)");
}

TlsClientContext::~TlsClientContext() { SSL_CTX_free(context_); }

}  // namespace turnpike::net
