// Rooms over the native protocol, as docs/signaling.md promises them.
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

TEST(Joining, TellsWhoYouAreAndWhoIsThere) {
  World world;
  Tab ann(world);
  const json first = ann.join("demo", "Ann");
  EXPECT_EQ(first["type"], "joined");
  EXPECT_EQ(first["seq"], 1);
  EXPECT_EQ(first["room"], "demo");
  EXPECT_EQ(first["self"]["name"], "Ann");
  EXPECT_EQ(first["self"]["id"].get<std::string>().substr(0, 2), "m-");
  EXPECT_EQ(first["members"], json::array());
  EXPECT_EQ(first["resumeWindow"], 120);
  EXPECT_GE(first["session"].get<std::string>().size(), 22u);

  Tab ben(world);
  const json second = ben.join("demo", "Ben");
  ASSERT_EQ(second["members"].size(), 1u);
  EXPECT_EQ(second["members"][0],
            json({{"id", ann.self["id"]}, {"name", "Ann"}, {"polite", true}, {"away", false}}));
  const json news = ann.hear("member-joined");
  EXPECT_EQ(news["seq"], 2);
  EXPECT_EQ(news["member"],
            json({{"id", ben.self["id"]}, {"name", "Ben"}, {"polite", false}, {"away", false}}));
  EXPECT_EQ(world.service.audit().rooms, 1u);
  EXPECT_EQ(world.service.audit().members, 2u);
}

}  // namespace
}  // namespace turnpike::signaling::testing
