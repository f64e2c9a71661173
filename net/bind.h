// How sockets are made and bound, and the sentences for when that fails. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/address.h"
#include "base/expected.h"

namespace turnpike::net {

// SO_REUSEPORT is for the workers of one process only.
enum class ReusePort : std::uint8_t { kNo, kYes };

// Whether nobody sits on this address. `socktype` is SOCK_DGRAM or SOCK_STREAM. The kernel lets
// any process of the same user join a SO_REUSEPORT group, so a second server would silently take
// half of the packets: before the first worker binds with kYes, ask here once for each address.
// The bind without SO_REUSEPORT fails when any socket is there, whatever options that one has.
// Connections in TIME_WAIT do not count.
Expected<void> check_free(const Address& address, int socktype);

// A non-blocking, close-on-exec socket of this address's family; IPv6 ones are IPV6_V6ONLY.
// Answers -1 with errno set.
int open_socket(Family family, int socktype);
// A socket bound to `address`. TCP gets SO_REUSEADDR, so that TIME_WAIT does not refuse a restart.
Expected<int> open_bound(const Address& address, int socktype, ReusePort reuse_port);
// What every connection of ours gets: no delay, and little that waits in the kernel.
void prepare_connection(int fd);
// "cannot bind udp 0.0.0.0:3478: address in use (is another server running?)"
std::string bind_sentence(const Address& address, int socktype, int error);

}  // namespace turnpike::net
