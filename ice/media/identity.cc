#include "ice/media/identity.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <vector>

#include "base/openssl_owners.h"

namespace turnpike::media {
namespace {

constexpr long kBackdated = 24 * 3600;  // the clocks of peers differ
constexpr long kValid = 365L * 24 * 3600;
// Forward secrecy is what RFC 8827 section 6.5 asks for. What the peer's certificate says does not
// matter, so its kind does not either.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";

X509Owner make_certificate(EVP_PKEY* key) {
  X509Owner certificate(X509_new());
  X509* x509 = certificate.get();
  std::uint64_t serial = 0;
  if (x509 == nullptr ||
      RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) {
    return nullptr;
  }
  const auto* common = reinterpret_cast<const unsigned char*>("WebRTC");
  X509_NAME* name = X509_get_subject_name(x509);
  const bool made = X509_set_version(x509, X509_VERSION_3) == 1 &&
                    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial | 1) == 1 &&
                    X509_gmtime_adj(X509_getm_notBefore(x509), -kBackdated) != nullptr &&
                    X509_gmtime_adj(X509_getm_notAfter(x509), kValid - kBackdated) != nullptr &&
                    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0) == 1 &&
                    X509_set_issuer_name(x509, name) == 1 && X509_set_pubkey(x509, key) == 1 &&
                    X509_sign(x509, key, EVP_sha256()) > 0;
  if (!made) return nullptr;
  return certificate;
}

// Anybody may come with any certificate; whether it is the one of the signaling is judged when the
// handshake is over (RFC 8122 section 6.2), before anything else is done.
int accept_for_now(int, X509_STORE_CTX*) { return 1; }

bool set_up(SSL_CTX* context, EVP_PKEY* key, X509* certificate) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &accept_for_now);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  return SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, kCiphers) == 1 &&
         SSL_CTX_use_certificate(context, certificate) == 1 &&
         SSL_CTX_use_PrivateKey(context, key) == 1;
}

std::vector<std::uint8_t> encoded(X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return {};
  std::vector<std::uint8_t> der(static_cast<std::size_t>(size));
  unsigned char* at = der.data();
  i2d_X509(certificate, &at);
  return der;
}

}  // namespace

std::unique_ptr<Identity> Identity::create() {
  const KeyOwner key(EVP_EC_gen("P-256"));
  if (key == nullptr) return nullptr;
  const X509Owner certificate = make_certificate(key.get());
  if (certificate == nullptr) return nullptr;
  std::unique_ptr<Identity> identity(new Identity);
  identity->context_ = SSL_CTX_new(DTLS_method());
  if (identity->context_ == nullptr || !set_up(identity->context_, key.get(), certificate.get())) {
    return nullptr;
  }
  identity->fingerprint_ = fingerprint_of(encoded(certificate.get()), FingerprintHash::kSha256);
  return identity;
}

Identity::~Identity() { SSL_CTX_free(context_); }

}  // namespace turnpike::media
