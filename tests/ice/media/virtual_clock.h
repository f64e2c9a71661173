// libssl and usrsctp read the wall clock themselves, by gettimeofday(). In a program that links
// this they are told the time of the world that the test is in, so that their timers agree with it.
#pragma once

#include "tests/sim/world.h"

namespace turnpike::media {

class VirtualClock {
 public:
  explicit VirtualClock(const sim::World& world);
  ~VirtualClock();
  VirtualClock(const VirtualClock&) = delete;
  VirtualClock& operator=(const VirtualClock&) = delete;
};

}  // namespace turnpike::media
