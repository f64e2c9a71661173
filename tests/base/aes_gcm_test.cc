#include "base/aes_gcm.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/digest.h"

namespace turnpike {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Box {
  Bytes key, nonce = Bytes(12, 1);
  std::string_view about = "about";

  Bytes seal(const Bytes& plain) const {
    Bytes sealed(plain.size() + AesGcm::kTagSize);
    AesGcm().seal(key, nonce, as_bytes(about), plain, sealed);
    return sealed;
  }
  bool opens(ByteView sealed) const {
    Bytes plain(sealed.size() < AesGcm::kTagSize ? 0 : sealed.size() - AesGcm::kTagSize);
    return AesGcm().open(key, nonce, as_bytes(about), sealed, plain);
  }
};

// The Galois/Counter Mode of Operation (McGrew, Viega), test case 14: an all-zero AES-256 key and
// nonce, and one block of zeros.
TEST(AesGcm, SealsAsThePublishedVector) {
  Box box{Bytes(32, 0), Bytes(12, 0), ""};
  EXPECT_EQ(hex_encode(box.seal(Bytes(16, 0))),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST(AesGcm, OpensWhatItSealed) {
  AesGcm cipher;
  for (const std::size_t size : {16u, 32u}) {
    const Box box{Bytes(size, 7)};
    const Bytes sealed = box.seal({1, 2, 3, 4, 5});
    Bytes plain(5);
    ASSERT_TRUE(cipher.open(box.key, box.nonce, as_bytes(box.about), sealed, plain));
    EXPECT_EQ(plain, (Bytes{1, 2, 3, 4, 5}));
  }
}

TEST(AesGcm, RefusesWhatWasChanged) {
  const Box box{Bytes(32, 7)};
  const Bytes sealed = box.seal({1, 2, 3, 4, 5});
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    Bytes changed = sealed;
    changed[i] ^= 1;
    EXPECT_FALSE(box.opens(changed)) << i;
    EXPECT_FALSE(box.opens(ByteView(sealed).first(i))) << i;
  }
  EXPECT_FALSE((Box{Bytes(32, 8)}.opens(sealed)));
  EXPECT_FALSE((Box{Bytes(32, 7), Bytes(12, 2)}.opens(sealed)));
  EXPECT_FALSE((Box{Bytes(32, 7), Bytes(12, 1), "About"}.opens(sealed)));
}

}  // namespace
}  // namespace turnpike
