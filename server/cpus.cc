#include "server/cpus.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include "base/text.h"

namespace turnpike::server {
namespace {

using Quota = std::optional<std::uint32_t>;

Quota lesser(Quota a, Quota b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

// "max 100000" or "150000 100000": what may be used in each period, in microseconds.
Quota quota_of(std::string_view allowed, std::string_view period) {
  const auto a = parse_decimal(allowed);  // "max" and "-1" are no limit
  const auto p = parse_decimal(period);
  if (!a || !p || *p == 0) return std::nullopt;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>((*a + *p - 1) / *p, 1, 4096));
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

Quota quota_v2(const std::string& folder) {
  std::istringstream words(first_line(folder + "/cpu.max"));
  std::string allowed;
  std::string period;
  words >> allowed >> period;
  return quota_of(allowed, period);
}

Quota quota_v1(const std::string& folder) {
  return quota_of(trim(first_line(folder + "/cpu.cfs_quota_us")),
                  trim(first_line(folder + "/cpu.cfs_period_us")));
}

// A group is bound by its own quota and by those of all groups around it.
template <typename Read>
Quota along(const std::string& mount, std::string group, Read read) {
  Quota least;
  while (true) {
    least = lesser(least, read(mount + group));
    const std::size_t slash = group.rfind('/');
    if (slash == std::string::npos || group.empty()) return least;
    group.resize(slash);
  }
}

bool names_cpu(std::string_view controllers) {
  const auto list = split(controllers, ',');
  return std::find(list.begin(), list.end(), "cpu") != list.end();
}

}  // namespace

// Lines of /proc/self/cgroup, cgroups(7): "hierarchy:controllers:path"; version 2 is "0::path".
std::optional<std::uint32_t> cgroup_cpus(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  Quota least;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    if (controllers.empty()) {
      least = lesser(least, along(root + "/sys/fs/cgroup", group, quota_v2));
    } else if (names_cpu(controllers)) {
      least = lesser(least,
                     along(fmt::format("{}/sys/fs/cgroup/{}", root, controllers), group, quota_v1));
    }
  }
  return least;
}

std::uint32_t usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::uint32_t count = 0;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    count = static_cast<std::uint32_t>(CPU_COUNT(&set));
  }
  if (count == 0) count = std::max(1u, std::thread::hardware_concurrency());
  return std::max<std::uint32_t>(1, std::min(count, cgroup_cpus().value_or(count)));
}

}  // namespace turnpike::server
