// The descriptors that this process has open, by what they are: an audit compares them with what
// the server knows to hold. Any thread; costs a few system calls a descriptor.
#pragma once

#include <cstddef>

#include "base/expected.h"
#include "base/findings.h"

namespace turnpike::server {

struct Descriptors {
  std::size_t datagram = 0;   // Internet sockets for datagrams
  std::size_t listening = 0;  // Internet sockets that accept connections
  std::size_t connected = 0;  // other stream sockets of the Internet families
  std::size_t local = 0;      // UNIX sockets
  std::size_t other = 0;      // files, pipes, event loops

  std::size_t total() const { return datagram + listening + connected + local + other; }
  bool operator==(const Descriptors&) const = default;
};

// The Error says why they cannot be counted: no /proc, no descriptor left to read it with.
Expected<Descriptors> count_descriptors();

// What is open and what there should be; of other things there may be less than `explained` says,
// for it counts files that may be read just now, but not less than at the start.
void compare(const Descriptors& open, const Descriptors& explained, std::size_t other_at_start,
             Findings& findings);

}  // namespace turnpike::server
