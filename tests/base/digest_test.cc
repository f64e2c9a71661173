#include "base/digest.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace turnpike {
namespace {

// RFC 1321 appendix A.5, FIPS 180-4 examples.
TEST(Digest, AgreesWithTheKnownVectors) {
  EXPECT_EQ(hex_encode(md5(as_bytes(""))), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(hex_encode(md5(as_bytes("message digest"))), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(hex_encode(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex_encode(sha1(as_bytes(""))), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hex_encode(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, PiecesHashLikeTheWhole) {
  EXPECT_EQ(md5({as_bytes("mess"), {}, as_bytes("age digest")}), md5(as_bytes("message digest")));
  EXPECT_EQ(sha256({as_bytes("a"), as_bytes("bc")}), sha256(as_bytes("abc")));
  EXPECT_EQ(sha256(std::initializer_list<ByteView>{}), sha256(as_bytes("")));
}

// RFC 2202 section 3 and RFC 4231 section 4: test cases 1, 2 and 6 (a key longer than a block).
TEST(Hmac, AgreesWithTheKnownVectors) {
  const std::vector<std::uint8_t> short_key(20, 0x0b);
  const std::vector<std::uint8_t> key_80(80, 0xaa), key_131(131, 0xaa);
  const ByteView long_text = as_bytes("Test Using Larger Than Block-Size Key - Hash Key First");
  EXPECT_EQ(hex_encode(hmac_sha1(short_key, {as_bytes("Hi There")})),
            "b617318655057264e28bc0b6fb378c8ef146be00");
  EXPECT_EQ(hex_encode(hmac_sha1(as_bytes("Jefe"), {as_bytes("what do ya want for nothing?")})),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(hex_encode(hmac_sha1(key_80, {long_text})), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
  EXPECT_EQ(hex_encode(hmac_sha256(short_key, {as_bytes("Hi There")})),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex_encode(hmac_sha256(as_bytes("Jefe"), {as_bytes("what do ya want for nothing?")})),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex_encode(hmac_sha256(key_131, {long_text})),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hmac, PiecesHashLikeTheWhole) {
  const ByteView key = as_bytes("key");
  EXPECT_EQ(hmac_sha1(key, {as_bytes("ab"), {}, as_bytes("c")}), hmac_sha1(key, {as_bytes("abc")}));
  EXPECT_EQ(hmac_sha256(key, {as_bytes("a"), as_bytes("bc")}), hmac_sha256(key, {as_bytes("abc")}));
}

TEST(Hmac, AKeyOfExactlyOneBlockIsNotHashed) {
  const std::vector<std::uint8_t> block(64, 0x61), longer(65, 0x61);
  EXPECT_NE(hmac_sha1(block, {as_bytes("x")}), hmac_sha1(sha1(block), {as_bytes("x")}));
  EXPECT_EQ(hmac_sha1(longer, {as_bytes("x")}), hmac_sha1(sha1(longer), {as_bytes("x")}));
}

TEST(Digest, ThreadsDoNotDisturbEachOther) {
  const Sha256Digest expected = sha256(as_bytes("abc"));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&expected] {
      for (int round = 0; round < 500; ++round) ASSERT_EQ(sha256(as_bytes("abc")), expected);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(ConstantTime, ComparesContentAndLength) {
  EXPECT_TRUE(equal_in_constant_time(as_bytes("same"), as_bytes("same")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("same"), as_bytes("sane")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("same"), as_bytes("sam")));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
}

// RFC 4648 section 10.
TEST(Base64, AgreesWithTheKnownVectors) {
  constexpr std::array<std::array<std::string_view, 2>, 7> kVectors = {{{"", ""},
                                                                        {"f", "Zg=="},
                                                                        {"fo", "Zm8="},
                                                                        {"foo", "Zm9v"},
                                                                        {"foob", "Zm9vYg=="},
                                                                        {"fooba", "Zm9vYmE="},
                                                                        {"foobar", "Zm9vYmFy"}}};
  for (const auto& [plain, text] : kVectors) {
    EXPECT_EQ(base64_encode(as_bytes(plain)), text);
    EXPECT_EQ(base64_decode(text), plain);
    const std::string_view unpadded = text.substr(0, text.find('='));
    EXPECT_EQ(base64url_encode(as_bytes(plain)), unpadded);
    EXPECT_EQ(base64url_decode(unpadded), plain);
  }
}

TEST(Base64, TheTwoAlphabetsDifferInTwoCharacters) {
  const std::array<std::uint8_t, 3> bytes = {0xFB, 0xEF, 0xFF};
  EXPECT_EQ(base64_encode(bytes), "++//");
  EXPECT_EQ(base64url_encode(bytes), "--__");
  EXPECT_TRUE(base64_decode("++//"));
  EXPECT_FALSE(base64_decode("--__"));
  EXPECT_FALSE(base64url_decode("++//"));
}

TEST(Base64, EveryLengthComesBack) {
  std::string plain;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64_decode(base64_encode(as_bytes(plain))), plain);
    EXPECT_EQ(base64url_decode(base64url_encode(as_bytes(plain))), plain);
    plain.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64, DecodingIsStrict) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Zm8", "Zm9v=", "=", "==", "====", "Z===",
                           "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm 9", "Zm9v====", "Zh==", "Zm9="}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
  for (const char* text : {"A", "Z", "Zg==", "Zm9vA", "Zm9vZ", "Zh", "Zm9", "Zm9v\n", "Zm+v"}) {
    EXPECT_FALSE(base64url_decode(text)) << text;
  }
  EXPECT_FALSE(base64_decode(std::string_view("Zm\0v", 4)));
}

TEST(Base64, TheHeaplessFormsWantExactSizes) {
  std::array<char, 6> text;
  base64url_encode(as_bytes("foob"), text);
  EXPECT_EQ(std::string_view(text.data(), text.size()), "Zm9vYg");
  std::array<std::uint8_t, 4> bytes;
  EXPECT_TRUE(base64url_decode("Zm9vYg", bytes));
  EXPECT_EQ(as_text(bytes), "foob");
  EXPECT_FALSE(base64url_decode("Zm9vYgA", bytes));
  EXPECT_FALSE(base64url_decode("Zm9vY", bytes));
  EXPECT_FALSE(base64url_decode("Zm9vYh", bytes));  // a bit in what is left over
}

TEST(Wipe, LeavesNothingBehind) {
  std::array<std::uint8_t, 4> secret = {1, 2, 3, 4};
  wipe(secret);
  EXPECT_EQ(secret, (std::array<std::uint8_t, 4>{}));
  std::string text = "a secret that is too long for the small string buffer";
  const char* const place = text.data();
  const std::size_t size = text.size();
  wipe(text);
  EXPECT_TRUE(text.empty());
  for (std::size_t i = 0; i < size; ++i) EXPECT_EQ(place[i], '\0') << i;
}

}  // namespace
}  // namespace turnpike
