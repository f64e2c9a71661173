// Any bytes as a story with the whole relay: see relay_script.h.

#include <cstdint>

#include "tests/fuzz/relay_script.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  turnpike::fuzz::RelayScript({data, size}).play();
  return 0;
}
