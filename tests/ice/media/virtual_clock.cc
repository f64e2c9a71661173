#include "tests/ice/media/virtual_clock.h"

#include <sys/time.h>
#include <time.h>

namespace turnpike::media {
namespace {

const sim::World* current = nullptr;
constexpr std::time_t kBeginning = 1'700'000'000;

}  // namespace

VirtualClock::VirtualClock(const sim::World& world) { current = &world; }
VirtualClock::~VirtualClock() { current = nullptr; }

}  // namespace turnpike::media

extern "C" int gettimeofday(timeval* time, void*) noexcept {
  using turnpike::media::current;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (current != nullptr) {
    const auto since = current->now().mono.since_start;
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since);
    now.tv_sec = turnpike::media::kBeginning + whole.count();
    now.tv_nsec = (since - whole).count();
  }
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}
