// CHECK: for faults of ours. The peer's faults are values, the world's faults are an Error.
// Prints the broken assumption and aborts; it stays on in release builds because a relay that
// goes on with a broken table is worse than one that restarts.
#pragma once

namespace turnpike {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define CHECK(condition)                                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::turnpike::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
