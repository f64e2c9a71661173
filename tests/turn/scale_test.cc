// From one allocation to ten thousand: each relays for its own client and peer, and all of them end
// in time.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/turn/conversation.h"

namespace turnpike::turn {
namespace {

constexpr std::uint16_t kChannel = 0x4000;

class Scale : public testing::TestWithParam<std::size_t> {
 protected:
  Scale() {
    for (std::size_t i = 0; i < GetParam(); ++i) {
      guests.push_back(std::make_unique<Guest>(house, "9." + place(i) + ":4000"));
      peers.push_back(address("8." + place(i) + ":700"));
      if (!guests[i]->allocate().success() || !guests[i]->bind(kChannel, peers[i]).success()) {
        ADD_FAILURE() << "no allocation " << i;
        return;
      }
    }
  }
  static std::string place(std::size_t i) {
    return "1." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1);
  }
  static HouseRules rules() {
    HouseRules rules;
    rules.quota.per_user = 0;
    rules.adjust = [](Settings& settings) { settings.unauthorized_replies_per_second = 0; };
    return rules;
  }
  std::int64_t held() const {
    return static_cast<std::int64_t>(house.server->statistics().allocations.read());
  }

  RelayHouse house{rules()};
  std::vector<std::unique_ptr<Guest>> guests;
  std::vector<Address> peers;
};

TEST_P(Scale, EveryAllocationRelaysForItsOwnClientAndPeerOnly) {
  for (std::size_t i = 0; i < GetParam(); ++i) {
    const Bytes payload = bytes_of("packet " + std::to_string(i));
    const FakeSink::OpenRelay relay = house.sink.open_relays[i];

    guests[i]->send_on(kChannel, payload);
    ASSERT_EQ(house.sink.peers_got.size(), 1u);
    EXPECT_EQ(house.sink.peers_got[0].relay.value, relay.handle.value);
    EXPECT_EQ(house.sink.peers_got[0].peer, peers[i]);
    EXPECT_EQ(house.sink.peers_got[0].datagram, payload);
    house.sink.peers_got.clear();

    house.server->on_peer(house.now, relay.owner, peers[i], turnpike::Run::one(payload),
                          house.sink);
    ASSERT_EQ(house.sink.clients_got.size(), 1u);
    EXPECT_EQ(house.sink.clients_got[0].path, guests[i]->path);
    house.sink.clients_got.clear();

    if (GetParam() == 1) continue;
    const Address& another = peers[(i + 1) % GetParam()];
    house.server->on_peer(house.now, relay.owner, another, turnpike::Run::one(payload), house.sink);
    EXPECT_TRUE(house.sink.clients_got.empty());
  }
}

TEST_P(Scale, AllocationsThatNobodyRefreshesEndAndLeaveNothing) {
  EXPECT_EQ(held(), static_cast<std::int64_t>(GetParam()));
  house.pass(seconds(599));
  EXPECT_EQ(held(), static_cast<std::int64_t>(GetParam()));
  house.pass(seconds(3));
  EXPECT_EQ(held(), 0);
  EXPECT_TRUE(house.sink.open_relays.empty());
}

INSTANTIATE_TEST_SUITE_P(Allocations, Scale, testing::Values(1, 100, 1000, 10000));

}  // namespace
}  // namespace turnpike::turn
