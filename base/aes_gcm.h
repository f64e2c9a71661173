// AES-GCM with a nonce of 96 bits and a tag of 128 (RFC 5116 sections 5.1 and 5.2:
// AEAD_AES_128_GCM, AEAD_AES_256_GCM). Its state is taken from the heap once, when it is made, and
// used again for every message. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace turnpike {

class AesGcm {
 public:
  static constexpr std::size_t kNonceSize = 12;
  static constexpr std::size_t kTagSize = 16;
  static constexpr bool is_key_size(std::size_t size) { return size == 16 || size == 32; }

  AesGcm();
  ~AesGcm();
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  // Encrypts `plain` into `sealed` (ciphertext and tag), which must have exactly its size and a
  // tag's. No nonce may be used twice with one key.
  void seal(ByteView key, ByteView nonce, ByteView associated, ByteView plain, MutableBytes sealed);

  // Decrypts `sealed` (ciphertext and tag) into `plain`, which must have exactly its size without
  // the tag. False, and `plain` wiped: not what somebody with the key sealed with this nonce and
  // this associated data.
  [[nodiscard]] bool open(ByteView key, ByteView nonce, ByteView associated, ByteView sealed,
                          MutableBytes plain);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace turnpike
