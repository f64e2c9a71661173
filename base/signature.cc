#include "base/signature.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <limits>

#include "base/openssl_owners.h"

namespace turnpike {
namespace {

using DigestOwner = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using SignatureOwner = std::unique_ptr<ECDSA_SIG, OpensslFree<ECDSA_SIG_free>>;

// SEQUENCE { INTEGER, INTEGER }: each number may need a zero byte before it.
constexpr std::size_t kMaxDer = 2 + 2 * (2 + 33);

// Nobody is asked for the password of an encrypted PEM: the server has no terminal.
int no_password(char*, int, int, void*) { return -1; }

bool is_on_p256(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
  char name[32];
  if (EVP_PKEY_get_group_name(key, name, sizeof name, nullptr) != 1) return false;
  return std::string_view(name) == SN_X9_62_prime256v1;
}

// RFC 7518 has the two numbers side by side, libcrypto wants them in DER; its size, or 0.
std::size_t to_der(ByteView raw, std::uint8_t (&der)[kMaxDer]) {
  constexpr int kHalf = Es256Key::kSignature / 2;
  const SignatureOwner signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(raw.data(), kHalf, nullptr);
  BIGNUM* s = BN_bin2bn(raw.data() + kHalf, kHalf, nullptr);
  if (!signature || r == nullptr || s == nullptr ||
      ECDSA_SIG_set0(signature.get(), r, s) != 1) {  // which owns them from here on
    BN_free(r);
    BN_free(s);
    return 0;
  }
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0 || static_cast<std::size_t>(size) > kMaxDer) return 0;
  std::uint8_t* end = der;
  i2d_ECDSA_SIG(signature.get(), &end);
  return static_cast<std::size_t>(size);
}

}  // namespace

struct Es256Key::Native {
  KeyOwner key;
};

std::optional<Es256Key> Es256Key::from_pem(std::string_view pem) {
  if (pem.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return std::nullopt;
  const BioOwner bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return std::nullopt;
  KeyOwner key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_password, nullptr));
  // What went wrong stays in a queue of this thread, where others would take it for theirs.
  ERR_clear_error();
  if (!key || !is_on_p256(key.get())) return std::nullopt;
  return Es256Key(std::make_shared<const Native>(Native{std::move(key)}));
}

bool Es256Key::verifies(std::string_view message, ByteView signature) const {
  if (signature.size() != kSignature) return false;
  std::uint8_t der[kMaxDer];
  const std::size_t size = to_der(signature, der);
  const DigestOwner context(EVP_MD_CTX_new());
  if (size == 0 || !context) return false;
  const ByteView text = as_bytes(message);
  const bool right = EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr,
                                          native_->key.get()) == 1 &&
                     EVP_DigestVerify(context.get(), der, size, text.data(), text.size()) == 1;
  ERR_clear_error();
  return right;
}

}  // namespace turnpike
