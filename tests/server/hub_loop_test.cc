// Connections on a loop that signaling shares with the relay: how much of them one turn serves.
#include "server/hub_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "signaling/carrier.h"
#include "tests/net/harness.h"

namespace turnpike::server {
namespace {

class Greeter final : public signaling::Routes {
 public:
  void on_request(Tick, signaling::ConnectionHandle connection, const signaling::Visit&) override {
    ++requests;
    carrier->respond(connection, signaling::http::text_response(200, "welcome\n"));
  }
  signaling::Carrier* carrier = nullptr;
  int requests = 0;
};

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";

struct Hub {
  explicit Hub(HubLoop::Sharing sharing) : carrier({}, greeter) {
    greeter.carrier = &carrier;
    // Anything that is done takes longer than this.
    hub = std::make_unique<HubLoop>(
        carrier, HubLoop::Wiring{.loop = loop, .sharing = sharing, .budget = Duration(1)});
  }
  ~Hub() {
    hub->shut_down([] {});
    for (int i = 0; i < 10; ++i) loop.run_once();
  }
  net::Peer& arrive(ByteView unread = {}) {
    net::TcpPair pair;
    peers.push_back(std::make_unique<net::Peer>(std::move(pair.theirs)));
    hub->take(net::Stream::accept(loop, pair.ours.take(), nullptr), unread);
    return *peers.back();
  }

  net::Loop loop;
  Greeter greeter;
  signaling::Carrier carrier;
  std::unique_ptr<HubLoop> hub;
  std::vector<std::unique_ptr<net::Peer>> peers;
};

constexpr int kCrowd = 20;

// A turn flushes twice.
TEST(HubLoop, OneTurnServesNoMoreOfACrowdThanItsBudget) {
  Hub here(HubLoop::Sharing::kWithRelay);
  for (int i = 0; i < kCrowd; ++i) here.arrive().send(as_bytes(kRequest));
  int before = 0;
  int most = 0;
  ASSERT_TRUE(net::turn_until(here.loop, [&] {
    most = std::max(most, here.greeter.requests - before);
    before = here.greeter.requests;
    return here.greeter.requests == kCrowd;
  }));
  EXPECT_LE(most, 2);
  for (const auto& peer : here.peers) {
    ASSERT_TRUE(net::turn_until(here.loop, [&] {
      peer->read_available();
      return !peer->received.empty();
    }));
    EXPECT_TRUE(net::text_of(peer->received).starts_with("HTTP/1.1 200"));
  }
}

TEST(HubLoop, BytesThatComeWithAConnectionWaitForTheBudgetToo) {
  Hub here(HubLoop::Sharing::kWithRelay);
  for (int i = 0; i < kCrowd; ++i) here.arrive(as_bytes(kRequest));
  EXPECT_EQ(here.greeter.requests, 1);
  ASSERT_TRUE(net::turn_until(here.loop, [&] { return here.greeter.requests == kCrowd; }));
}

TEST(HubLoop, ALoopOfItsOwnServesEverybodyAtOnce) {
  Hub here(HubLoop::Sharing::kOwnLoop);
  for (int i = 0; i < kCrowd; ++i) here.arrive().send(as_bytes(kRequest));
  here.loop.run_once();
  EXPECT_EQ(here.greeter.requests, kCrowd);
}

}  // namespace
}  // namespace turnpike::server
