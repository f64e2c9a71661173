// Code that changes the process for good runs in a process of its own.
#pragma once

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace turnpike::server {

// Answers what `body` answers, or -1 when the child did not end by itself.
inline int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline constexpr uid_t kOrdinaryUser = 65534;

// The same without root: as whoever runs the tests, or as `nobody` when that is root.
inline int in_ordinary_child(const std::function<int()>& body) {
  return in_child([&body] {
    if (::geteuid() != 0) return body();
    const bool changed = ::setgroups(0, nullptr) == 0 && ::setgid(kOrdinaryUser) == 0 &&
                         ::setuid(kOrdinaryUser) == 0;
    return changed ? body() : 99;
  });
}

}  // namespace turnpike::server
