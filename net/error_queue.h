// A UDP socket's error queue (IP_RECVERR): what ICMP said of datagrams that it sent, and which of
// them the kernel itself found too big. Worker thread only.
#pragma once

#include <optional>

#include "base/address.h"
#include "base/icmp.h"

namespace turnpike::net {

// Errors are queued from now on. They also come back once from a send or a receive, which must try
// again.
void report_errors(int fd, Family family);

struct SentError {
  Address destination;  // of the datagram
  IcmpError icmp;
};
// The next one that names a destination; nullopt when the queue is empty.
std::optional<SentError> take_error(int fd);

// What the kernel finds too big for an IPv4 interface it queues without the destination's port, but
// the send that it refuses knows it. Remembers the last few, of this thread, for take_error().
void note_too_big(int fd, const Address& destination);

}  // namespace turnpike::net
