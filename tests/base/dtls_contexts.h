// A server's and a client's DTLS context with a certificate made on the spot, for tests and the
// fuzzer. Single thread.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "base/dtls.h"

namespace turnpike::dtls {

class Contexts {
 public:
  Contexts()
      : server_(SSL_CTX_new(DTLS_server_method())), client_(SSL_CTX_new(DTLS_client_method())) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    CHECK(server_ != nullptr && client_ != nullptr && key != nullptr && certificate != nullptr);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    const unsigned char text[] = "localhost";
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, 9, -1, 0);
    X509_set_issuer_name(certificate, name);
    CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
    CHECK(SSL_CTX_use_certificate(server_, certificate) == 1);
    CHECK(SSL_CTX_use_PrivateKey(server_, key) == 1);
    CHECK(SSL_CTX_set_min_proto_version(server_, DTLS1_2_VERSION) == 1);
    SSL_CTX_set_options(server_, SSL_OP_NO_RENEGOTIATION);
    require_cookies(server_);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~Contexts() {
    SSL_CTX_free(server_);
    SSL_CTX_free(client_);
  }
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;

  SSL_CTX* server() { return server_; }
  SSL_CTX* client() { return client_; }

 private:
  SSL_CTX* server_;
  SSL_CTX* client_;
};

}  // namespace turnpike::dtls
