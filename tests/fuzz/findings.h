// What an audit of ours found is a bug: it is printed and the input kept.
#pragma once

#include <cstdio>

#include "base/check.h"
#include "base/findings.h"

namespace turnpike::fuzz {

inline void expect_none(const Findings& findings) {
  for (const std::string& sentence : findings.sentences()) {
    std::fprintf(stderr, "audit: %s\n", sentence.c_str());
  }
  CHECK(findings.none());
}

}  // namespace turnpike::fuzz
