// How many CPUs this process may use: what sched_setaffinity(2) leaves and the cgroup's quota
// allows, whichever is less. Containers are often given two CPUs of sixty-four.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace turnpike::server {

// The quota of the process's cgroup and of those above it, in CPUs rounded up; nullopt without one.
// `root` is put before every path, so that tests can show another machine.
std::optional<std::uint32_t> cgroup_cpus(const std::string& root = "");

// At least 1.
std::uint32_t usable_cpus();

}  // namespace turnpike::server
