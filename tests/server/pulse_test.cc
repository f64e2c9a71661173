#include "server/pulse.h"

#include <gtest/gtest.h>

namespace turnpike::server {
namespace {

// One worker's loop that turns when the test lets it. The main loop's clock is real, so the test
// asks by hand as often as seconds would have passed.
TEST(Pulse, MissesALoopThatDoesNotTurn) {
  net::Loop main;
  std::vector<std::unique_ptr<net::Loop>> workers;
  workers.push_back(std::make_unique<net::Loop>());
  workers.push_back(std::make_unique<net::Loop>());
  int reports = 0;
  {
    Pulse pulse(main, workers, [&reports] { ++reports; });
    const int patience = Pulse::kPatience / Pulse::kInterval;
    for (int i = 0; i < patience; ++i) pulse.start();
    EXPECT_EQ(pulse.stuck(), 0u) << "they may be late";
    workers[0]->run_once();
    pulse.start();
    EXPECT_EQ(pulse.stuck(), 1u);
    workers[1]->run_once();
    EXPECT_EQ(pulse.stuck(), 0u);
    EXPECT_EQ(reports, patience + 1);
  }
  for (const auto& worker : workers) worker->run_once();
}

}  // namespace
}  // namespace turnpike::server
