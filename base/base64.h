// Base64 without the heap, for what strangers can make us compute. Values in, values out; the other
// forms are in base/digest.h.
#pragma once

#include <span>

#include "base/bytes.h"

namespace turnpike {

// Standard alphabet with padding: `text` has 4 characters for every 3 bytes begun.
void base64_encode(ByteView bytes, std::span<char> text);

}  // namespace turnpike
