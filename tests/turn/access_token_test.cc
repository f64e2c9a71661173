// Third-party authorization (RFC 7635). The first tokens are what Debian's turnutils_oauth printed.
#include "turn/access_token.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "base/digest.h"
#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

using stun::Attribute;
using stun::Method;

constexpr std::string_view kServer = "turn.example.org";
constexpr WallTime kNow{seconds(1'700'000'000)};
const std::string kKey256(32, 'K');
const std::string kKey128(16, 'k');

// Seals with libcrypto alone, so that nothing of ours proves itself.
Bytes seal(std::string_view key, ByteView plain, std::string_view server = kServer) {
  const Bytes nonce = bytes_of("123456789012");
  Bytes out(2 + nonce.size() + plain.size() + 16);
  Writer head(out);
  head.u16(12);
  head.bytes(nonce);
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  int size = 0;
  EVP_EncryptInit_ex(context, key.size() == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), nullptr,
                     as_bytes(key).data(), nonce.data());
  EVP_EncryptUpdate(context, nullptr, &size, as_bytes(server).data(),
                    static_cast<int>(server.size()));
  EVP_EncryptUpdate(context, out.data() + 14, &size, plain.data(), static_cast<int>(plain.size()));
  EVP_EncryptFinal_ex(context, out.data() + 14 + size, &size);
  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, out.data() + 14 + plain.size());
  EVP_CIPHER_CTX_free(context);
  return out;
}

struct Inside {
  std::uint16_t key_length = 20;
  std::string mac_key = std::string(20, 'm');
  WallTime issued = kNow;
  std::uint32_t lifetime = 600;
};
Bytes plain(const Inside& inside) {
  Bytes bytes(2 + inside.mac_key.size() + 12);
  Writer out(bytes);
  out.u16(inside.key_length);
  out.bytes(as_bytes(std::string_view(inside.mac_key)));
  out.u64(static_cast<std::uint64_t>(inside.issued.since_epoch.count()) << 16 | 0x8000);
  out.u32(inside.lifetime);
  return bytes;
}

std::optional<AccessToken> open(const Bytes& token, std::string_view key = kKey256,
                                std::string_view server = kServer, WallTime now = kNow) {
  AesGcm cipher;
  return open_token(cipher, token, as_bytes(key), server, now);
}

TEST(AccessToken, OpensWithEitherSizeOfKey) {
  for (const std::string& key : {kKey256, kKey128}) {
    const auto token = open(seal(key, plain({})), key);
    ASSERT_TRUE(token);
    EXPECT_EQ(token->mac_key, stun::Key(bytes_of(std::string(20, 'm'))));
    EXPECT_EQ(token->expires, kNow + seconds(600));
  }
}

// turnutils_oauth -e -i turn.example.org -k <32 times K> -o <123456789012> -p <20 times m>
//   -q <1700000000 << 16> -r 600
TEST(AccessToken, OfTurnutilsOauthOpens) {
  const auto token = base64_decode(
      "AAwxMjM0NTY3ODkwMTJ/kqgLG2DjgzL5Io7+VQYz1OlpiGGD5uo4G45cZxGOfR+LcTsILHrme/LQeDEX4apiJQ==");
  ASSERT_TRUE(token);
  const auto opened = open(bytes_of(*token));
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->mac_key, stun::Key(bytes_of(std::string(20, 'm'))));
}

TEST(AccessToken, OfAnotherKeyOrServerOrWithAChangedBitDoesNotOpen) {
  const Bytes token = seal(kKey256, plain({}));
  EXPECT_FALSE(open(token, std::string(32, 'X')));
  EXPECT_FALSE(open(token, kKey128));
  EXPECT_FALSE(open(token, kKey256, "elsewhere.example.org"));
  for (std::size_t at = 0; at < token.size(); ++at) {
    Bytes changed = token;
    changed[at] ^= 1;
    EXPECT_FALSE(open(changed)) << at;
  }
}

using Lengths = std::initializer_list<std::uint16_t>;

TEST(AccessToken, LengthsAreCheckedBeforeUse) {
  const Bytes token = seal(kKey256, plain({}));
  for (std::size_t size = 0; size < token.size(); ++size) {
    EXPECT_FALSE(open(Bytes(token.begin(), token.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  for (const std::uint16_t length : Lengths{0, 1, 11, 13, 64, 0x7FFF, 0xFFFF}) {
    Bytes changed = token;
    Writer(changed).u16(length);
    EXPECT_FALSE(open(changed)) << length;
  }
  for (const std::uint16_t length : Lengths{0, 1, 16, 19, 21, 32, 0xFFFF}) {
    EXPECT_FALSE(open(seal(kKey256, plain({.key_length = length})))) << length;
  }
  EXPECT_FALSE(open(seal(kKey256, Bytes(200))));
  EXPECT_FALSE(open(Bytes(60000, 1)));
}

TEST(AccessToken, IsOfItsTimeAndFiveSecondsMore) {
  const Bytes token = seal(kKey256, plain({}));
  const auto at = [&](seconds offset) { return open(token, kKey256, kServer, kNow + offset); };
  EXPECT_TRUE(at(seconds(604)));
  EXPECT_FALSE(at(seconds(605)));
  EXPECT_TRUE(at(seconds(-604)));
  EXPECT_FALSE(at(seconds(-605)));
  Inside far;
  far.issued = WallTime{seconds(0xFFFFFFFFFFFF)};
  far.lifetime = 0xFFFFFFFF;
  EXPECT_FALSE(open(seal(kKey256, plain(far))));
}

struct ThirdParty : testing::Test {
  RelayHouse house{[] {
    HouseRules rules;
    rules.adjust = [](Settings& settings) {
      settings.token_keys = TokenKeys(std::string(kServer), {{"north", kKey256}});
    };
    return rules;
  }()};
  Guest guest{house, "203.0.113.5:4000", "north"};
  Bytes mac_key = bytes_of(std::string(20, 'm'));

  Reply ask(Method method, const std::optional<Bytes>& token, const Guest::Fill& more = {}) {
    if (guest.nonce.empty()) (void)guest.request(Method::kRefresh);
    return guest.exchange(guest.bare_request(method, [&](stun::Builder& b) {
      if (method == Method::kAllocate) b.requested_transport(stun::kProtocolUdp);
      if (more) more(b);
      b.text(Attribute::kUsername, guest.username)
          .text(Attribute::kRealm, RelayHouse::kRealm)
          .text(Attribute::kNonce, guest.nonce);
      if (token) b.bytes(Attribute::kAccessToken, *token);
      b.message_integrity(mac_key);
    }));
  }
};

TEST_F(ThirdParty, ChallengeNamesTheServer) {
  const Reply reply = guest.exchange(guest.bare_request(
      Method::kAllocate, [](auto& b) { b.requested_transport(stun::kProtocolUdp); }));
  EXPECT_EQ(reply.view().text(Attribute::kThirdPartyAuthorization), kServer);
}

TEST_F(ThirdParty, TokenMakesAnAllocationThatItsKeyServes) {
  const Bytes token = seal(kKey256, plain({}));
  const Reply made = ask(Method::kAllocate, token);
  ASSERT_TRUE(made.success());
  EXPECT_TRUE(stun::verify_message_integrity(made.view(), mac_key));
  const Reply permitted = ask(Method::kCreatePermission, {}, [](stun::Builder& b) {
    b.xor_address(Attribute::kXorPeerAddress, address("9.9.9.9:1"));
  });
  EXPECT_TRUE(permitted.success()) << "without the token";
  Guest other(house, "203.0.113.5:4001", "north");
  EXPECT_EQ(other.refresh().code(), 401) << "the key is of one allocation";
}

TEST_F(ThirdParty, AllocationEndsWithItsTokenUnlessANewOneComes) {
  const Bytes token = seal(kKey256, plain({.lifetime = 100}));
  EXPECT_EQ(ask(Method::kAllocate, token).lifetime(), 100u);
  house.pass(seconds(50));
  const Bytes renewed =
      seal(kKey256, plain({.mac_key = std::string(20, 'n'), .issued = house.now.wall}));
  mac_key = bytes_of(std::string(20, 'n'));
  EXPECT_EQ(ask(Method::kRefresh, renewed).lifetime(), 600u);
  house.pass(seconds(400));
  EXPECT_EQ(ask(Method::kRefresh, renewed).lifetime(), 200u);
  house.pass(seconds(201));
  EXPECT_EQ(house.server->audit().allocations, 0u);
}

TEST_F(ThirdParty, WhatCannotBeOpenedIsUnauthorized) {
  EXPECT_EQ(ask(Method::kAllocate, seal(std::string(32, 'X'), plain({}))).code(), 401);
  EXPECT_EQ(ask(Method::kAllocate, seal(kKey256, plain({}), "elsewhere")).code(), 401);
  EXPECT_EQ(ask(Method::kAllocate, bytes_of("short")).code(), 401);
  EXPECT_EQ(ask(Method::kAllocate, {}).code(), 401);
  guest.username = "south";
  EXPECT_EQ(ask(Method::kAllocate, seal(kKey256, plain({}))).code(), 401);
  guest.username = "north";
  mac_key = bytes_of(std::string(20, 'x'));
  EXPECT_EQ(ask(Method::kAllocate, seal(kKey256, plain({}))).code(), 401);
}

TEST_F(ThirdParty, OtherCredentialsWorkBeside) {
  Guest alice(house, "203.0.113.5:4002");
  EXPECT_TRUE(alice.allocate().success());
}

// RFC 7635 section 7: not offered, so not understood.
TEST(ThirdPartyNotOffered, TokenIsAnUnknownAttribute) {
  RelayHouse house;
  Guest alice(house, "203.0.113.5:4000");
  const Reply reply =
      alice.allocate([](stun::Builder& b) { b.bytes(Attribute::kAccessToken, Bytes(60)); });
  EXPECT_EQ(reply.code(), 420);
  EXPECT_EQ(reply.unknown_attributes(), std::vector<std::uint16_t>{0x001B});
}

}  // namespace
}  // namespace turnpike::turn
