// Strangers that send anything at any time: the service keeps its feet, its limits and its books.
#include "world.h"

namespace turnpike::signaling::testing {
namespace {

// Pieces of conversations, whole and broken, in any order, cut anywhere.
std::string fragment(SeededRandom& random) {
  static const std::vector<std::string> kPieces = {
      "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /healthz HTTP/1.1\r\n",
      "Host: h\r\n\r\n",
      "POST /api/ice HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n{}",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked\r\n",
      "\r\n",
      std::string(kUpgrade) + "\r\n",
      std::string(kUpgrade),
      client_frame(1, R"({"type":"join","room":"a"})"),
      client_frame(1, R"({"type":"join","room":"b","name":"n"})"),
      client_frame(1, R"({"type":"send","data":{"x":[1,2]}})"),
      client_frame(1, R"({"type":"send","to":"m-x","data":0})"),
      client_frame(1, R"({"type":"resume","session":"AAAA","received":1})"),
      client_frame(1, R"({"type":"leave"})"),
      client_frame(1, R"({"type":"ice"})"),
      client_frame(1, "{\"type\":\"se", false),
      client_frame(0, "nd\",\"data\":1}"),
      client_frame(9, "ping"),
      client_frame(10, "12345678"),
      client_frame(8, ""),
      client_frame(2, "\xff"),
      "GET /file HTTP/1.1\r\nHost: h\r\n\r\n",
  };
  std::string piece = kPieces[random.below(static_cast<std::uint32_t>(kPieces.size()))];
  const auto size = static_cast<std::uint32_t>(piece.size());
  switch (random.below(6)) {
    case 0:
      piece[random.below(size)] = static_cast<char>(random.below(256));
      break;
    case 1:
      piece.erase(random.below(size), 1);
      break;
    default:
      break;
  }
  return piece;
}

TEST(Abuse, AnythingInAnyOrderLeavesTheServiceWhole) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    World world([](Settings& settings) { settings.serve_static = true; });
    std::vector<ConnectionHandle> connections;
    for (int step = 0; step < 400; ++step) {
      if (connections.size() < 8 && random.below(6) == 0) connections.push_back(world.connect());
      if (connections.empty()) continue;
      const std::size_t at = random.below(static_cast<std::uint32_t>(connections.size()));
      const ConnectionHandle connection = connections[at];
      const std::uint32_t choice = random.below(24);
      if (choice == 0) {
        if (!world.closed(connection)) world.hang_up(connection);
        connections.erase(connections.begin() + static_cast<std::ptrdiff_t>(at));
      } else if (choice == 1) {
        world.pass(milliseconds(random.below(40000)));
      } else if (choice == 2) {
        FileAnswer answer;
        answer.kind = static_cast<FileAnswer::Kind>(random.below(4));
        world.carrier.on_file(world.now, connection, answer, world.outlet);
      } else {
        const std::string bytes = fragment(random);
        const std::size_t cut = random.below(static_cast<std::uint32_t>(bytes.size()) + 1);
        world.send(connection, std::string_view(bytes).substr(0, cut));
        world.send(connection, std::string_view(bytes).substr(cut));
      }
      ASSERT_LE(world.service.audit().connections, 8u);
      ASSERT_LE(world.service.audit().rooms, world.service.audit().members);
    }
    world.pass(minutes(10));
    EXPECT_EQ(world.service.audit().members, 0u);
    EXPECT_EQ(world.service.audit().connections, 0u);
    EXPECT_EQ(world.carrier.next_deadline(), MonoTime::never());
  }
}

// A whole conversation gives the same answers wherever the network cuts it.
TEST(Abuse, AConversationReadsTheSameCutAtEveryByte) {
  const std::string conversation =
      std::string(kUpgrade) + "\r\n" + client_frame(1, R"({"type":"join","room":"a","name":"n"})") +
      client_frame(1, "{\"type\":\"pi", false) + client_frame(9, "x") + client_frame(0, "ng\"}") +
      client_frame(1, R"({"type":"leave"})") + client_frame(8, "");
  const auto converse = [&](std::size_t cut) {
    World world;
    const ConnectionHandle connection = world.connect();
    world.send(connection, std::string_view(conversation).substr(0, cut));
    world.send(connection, std::string_view(conversation).substr(cut));
    EXPECT_TRUE(world.closed(connection)) << cut;
    return world.take(connection);
  };
  const std::string expected = converse(conversation.size());
  EXPECT_NE(expected.find("\"joined\""), std::string::npos);
  EXPECT_NE(expected.find("\"pong\""), std::string::npos);
  for (std::size_t cut = 1; cut < conversation.size(); ++cut)
    ASSERT_EQ(converse(cut), expected) << cut;
}

TEST(Abuse, HandlesThatAreGoneDoNothing) {
  World world;
  const ConnectionHandle connection = world.connect();
  world.hang_up(connection);
  world.send(connection, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  world.hang_up(connection);
  world.carrier.on_file(world.now, connection, {}, world.outlet);
  world.send(ConnectionHandle{}, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(world.take(connection), "");
}

}  // namespace
}  // namespace turnpike::signaling::testing
