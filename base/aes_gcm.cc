#include "base/aes_gcm.h"

#include <openssl/evp.h>

#include <limits>

#include "base/check.h"
#include "base/digest.h"

namespace turnpike {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

Context make_context(const EVP_CIPHER* cipher) {
  Context context(EVP_CIPHER_CTX_new());
  CHECK(context != nullptr);
  CHECK(EVP_DecryptInit_ex(context.get(), cipher, nullptr, nullptr, nullptr) == 1);
  return context;
}

int size_of(ByteView bytes) {
  CHECK(bytes.size() <= std::numeric_limits<int>::max());
  return static_cast<int>(bytes.size());
}

}  // namespace

struct AesGcm::State {
  Context with_128 = make_context(EVP_aes_128_gcm());
  Context with_256 = make_context(EVP_aes_256_gcm());
};

AesGcm::AesGcm() : state_(std::make_unique<State>()) {}
AesGcm::~AesGcm() = default;

void AesGcm::seal(ByteView key, ByteView nonce, ByteView associated, ByteView plain,
                  MutableBytes sealed) {
  CHECK(is_key_size(key.size()) && nonce.size() == kNonceSize);
  CHECK(!plain.empty() && sealed.size() == plain.size() + kTagSize);
  EVP_CIPHER_CTX* context = (key.size() == 16 ? state_->with_128 : state_->with_256).get();
  int written = 0;
  std::uint8_t nothing = 0;
  const bool done =
      EVP_EncryptInit_ex(context, nullptr, nullptr, key.data(), nonce.data()) == 1 &&
      EVP_EncryptUpdate(context, nullptr, &written, associated.data(), size_of(associated)) == 1 &&
      EVP_EncryptUpdate(context, sealed.data(), &written, plain.data(), size_of(plain)) == 1 &&
      EVP_EncryptFinal_ex(context, &nothing, &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagSize),
                          sealed.last(kTagSize).data()) == 1;
  CHECK(done);
}

bool AesGcm::open(ByteView key, ByteView nonce, ByteView associated, ByteView sealed,
                  MutableBytes plain) {
  if (!is_key_size(key.size()) || nonce.size() != kNonceSize || sealed.size() < kTagSize) {
    return false;
  }
  const ByteView text = sealed.first(sealed.size() - kTagSize);
  const ByteView tag = sealed.last(kTagSize);
  CHECK(plain.size() == text.size());
  EVP_CIPHER_CTX* context = (key.size() == 16 ? state_->with_128 : state_->with_256).get();
  int written = 0;
  std::uint8_t nothing = 0;
  const bool right =
      EVP_DecryptInit_ex(context, nullptr, nullptr, key.data(), nonce.data()) == 1 &&
      EVP_DecryptUpdate(context, nullptr, &written, associated.data(), size_of(associated)) == 1 &&
      EVP_DecryptUpdate(context, plain.empty() ? &nothing : plain.data(), &written, text.data(),
                        size_of(text)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagSize),
                          const_cast<std::uint8_t*>(tag.data())) == 1 &&
      EVP_DecryptFinal_ex(context, &nothing, &written) == 1;
  if (!right) wipe(plain);
  return right;
}

}  // namespace turnpike
