// Invitations and minted credentials as values, checked against vectors made with other tools.
#include "signaling/invitation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "signaling/ice_servers.h"
#include "turn/credentials.h"

namespace turnpike::signaling {
namespace {

constexpr std::string_view kSecret = "the server's secret";
constexpr WallTime kNow{seconds(1767225600)};

// Made with Python's hmac and base64.
constexpr std::string_view kInvitation =
    "eyJlIjoxNzY3MjI5MjAwLCJyIjpbInF1aWV0LW90dGVyLTQyIl19.7LaNde6HWnYXDtzVWG3kBA";

TEST(Invitation, IsSignedAsItsHeaderSays) {
  const InvitationSigner signer(kSecret);
  EXPECT_EQ(signer.sign({{"quiet-otter-42"}, kNow + seconds(3600)}), kInvitation);
  const auto invitation = signer.verify(kInvitation, kNow);
  ASSERT_TRUE(invitation);
  EXPECT_TRUE(invitation->admits("quiet-otter-42"));
  EXPECT_FALSE(invitation->admits("quiet-otter-4"));
  EXPECT_FALSE(invitation->admits(""));
  EXPECT_EQ(invitation->expires, kNow + seconds(3600));
}

TEST(Invitation, EndsAtItsSecond) {
  const InvitationSigner signer(kSecret);
  EXPECT_TRUE(signer.verify(kInvitation, kNow + seconds(3599)));
  EXPECT_FALSE(signer.verify(kInvitation, kNow + seconds(3600)));
}

TEST(Invitation, LivesADayAtMost) {
  const InvitationSigner signer(kSecret);
  const auto with_life = [&](seconds life) { return signer.sign({{"a"}, kNow + life}); };
  EXPECT_TRUE(signer.verify(with_life(InvitationSigner::kMaxLife), kNow));
  EXPECT_FALSE(signer.verify(with_life(InvitationSigner::kMaxLife + seconds(1)), kNow));
}

TEST(Invitation, NamesOneToSixteenRooms) {
  const InvitationSigner signer(kSecret);
  const auto with_rooms = [&](std::size_t count) {
    return signer.sign({std::vector<std::string>(count, "a"), kNow + seconds(1)});
  };
  EXPECT_FALSE(signer.verify(with_rooms(0), kNow));
  EXPECT_TRUE(signer.verify(with_rooms(1), kNow));
  EXPECT_TRUE(signer.verify(with_rooms(InvitationSigner::kMaxRooms), kNow));
  EXPECT_FALSE(signer.verify(with_rooms(InvitationSigner::kMaxRooms + 1), kNow));
}

TEST(Invitation, HoldsTheLargestRoomsItMayName) {
  const InvitationSigner signer(kSecret);
  std::string name;
  while (name.size() < 128) name += '"';  // escaped, it takes two bytes
  const std::vector<std::string> rooms(InvitationSigner::kMaxRooms, name);
  const auto invitation = signer.verify(signer.sign({rooms, kNow + seconds(1)}), kNow);
  ASSERT_TRUE(invitation);
  EXPECT_EQ(invitation->rooms, rooms);
}

TEST(Invitation, EveryChangedCharacterIsNoticed) {
  const InvitationSigner signer(kSecret);
  for (std::size_t i = 0; i < kInvitation.size(); ++i) {
    std::string forged(kInvitation);
    forged[i] = forged[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(signer.verify(forged, kNow)) << i;
    EXPECT_FALSE(signer.verify(kInvitation.substr(0, i), kNow)) << i;
  }
  EXPECT_FALSE(signer.verify(std::string(kInvitation) + "A", kNow));
  EXPECT_FALSE(signer.verify(std::string(kInvitation) + "=", kNow));
  EXPECT_FALSE(signer.verify(" " + std::string(kInvitation), kNow));
  EXPECT_FALSE(signer.verify(".", kNow));
  EXPECT_FALSE(signer.verify(std::string(100000, 'A') + "." + std::string(22, 'A'), kNow));
}

TEST(Invitation, OfAnotherSecretIsForeign) {
  EXPECT_FALSE(InvitationSigner("another secret").verify(kInvitation, kNow));
}

TEST(Minter, MintsWhatTheTurnRestDraftSays) {
  const Minter minter{std::string(kSecret), {{"stun:h:1"}, {"turn:h:1", "turn:h:1?transport=tcp"}}};
  const auto credential =
      minter.mint("alice", minter.key_id("key-for-back-ends"), seconds(3600), kNow);
  EXPECT_EQ(credential.username, "1767229200:alice~85a7f9d1");
  EXPECT_EQ(credential.name, "alice~85a7f9d1");
  EXPECT_EQ(credential.password, "qB8H9xR2lI/DdmEI9+HaSY3dFPE=");
  EXPECT_EQ(credential.expires, kNow + seconds(3600));
  EXPECT_EQ(minter.ice_servers(credential), nlohmann::json::parse(R"([{"urls":["stun:h:1"]},
                {"urls":["turn:h:1","turn:h:1?transport=tcp"],
                 "username":"1767229200:alice~85a7f9d1",
                 "credential":"qB8H9xR2lI/DdmEI9+HaSY3dFPE="}])"));
}

TEST(Minter, TheRelayAcceptsWhatItMints) {
  const Minter minter{std::string(kSecret), {}};
  const auto credential = minter.mint("member-x:y~z", "0123abcd", seconds(60), kNow);
  EXPECT_EQ(turn::rest_password(kSecret, credential.username), credential.password);
  const turn::UserIdentity identity = turn::identify(credential.username);
  EXPECT_EQ(identity.name, credential.name);
  EXPECT_EQ(identity.expires, credential.expires);
  const turn::Credentials relay({"turnpike", {}, {std::string(kSecret)}});
  using Status = turn::Credentials::Keys::Status;
  EXPECT_EQ(relay.keys_for(credential.username, kNow).status, Status::kKnown);
  EXPECT_EQ(relay.keys_for(credential.username, kNow + seconds(61)).status, Status::kUnknown);
}

TEST(Minter, CutsNamesBetweenCharacters) {
  const Minter minter{std::string(kSecret), {}};
  const std::string name = std::string(255, 'a') + "\xc3\xa4" + "b";
  const auto credential = minter.mint(name, "0123abcd", seconds(60), kNow);
  EXPECT_EQ(credential.name, std::string(255, 'a') + "~0123abcd");
  EXPECT_LT(credential.username.size(), 509u);
}

TEST(Minter, ListsOnlyWhatThereIs) {
  const Minter none{std::string(kSecret), {}};
  EXPECT_EQ(none.ice_servers(none.mint("a", "b", seconds(1), kNow)), nlohmann::json::array());
}

}  // namespace
}  // namespace turnpike::signaling
