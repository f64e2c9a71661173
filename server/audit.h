// The audit of a running server (`turnpike ctl audit`): what workers, sockets, quota, tables that
// all share and the kernel say of the same things must agree. Workers give an account of what they
// hold; judge() compares, and knows neither threads nor sockets. Values only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/findings.h"
#include "server/descriptors.h"
#include "server/shared_relays.h"
#include "server/shared_reservations.h"
#include "turn/quota_ledger.h"
#include "turn/server.h"

namespace turnpike::server {

// A socket that is bound to a relayed transport address, as the worker's driver has it.
struct RelaySocket {
  turn::RelayHandle handle;
  Address local;
  std::uint64_t owner = 0;  // an allocation
};

// What one worker holds.
struct WorkerAccount {
  std::uint32_t worker = 0;
  turn::Server::Examination relay;
  std::vector<RelaySocket> sockets;      // for datagrams
  std::vector<RelaySocket> tcp_sockets;  // that accept peers' connections
  // Connections, and DTLS sessions, that nothing limits because they hold an allocation; by the
  // number that a Path carries. And those that there are, held or not.
  std::vector<std::uint64_t> privileged_streams;
  std::vector<std::uint64_t> privileged_sessions;
  std::size_t connections = 0;
  std::size_t sessions = 0;
  Descriptors descriptors;  // all that are this worker's; of `local` only spare ones
  Findings findings;        // of what belongs to the worker alone
};

// What the process holds once.
struct SharedAccount {
  turn::QuotaLedger booked;
  SharedRelays::Listing live;      // relayed addresses for datagrams
  SharedRelays::Listing live_tcp;  // and for connections
  std::vector<SharedReservations::Reserved> reserved;
  Descriptors open;
  Descriptors own;  // those of the main thread
  std::size_t other_at_start = 0;
  Findings findings;  // of signaling, and of counting
};

// What is wrong between the parts of one worker; called by it.
Findings judge(const WorkerAccount& account);
// What is wrong anywhere.
Findings judge(const SharedAccount& shared, std::span<const WorkerAccount> workers);

// What `turnpike ctl audit` tells besides.
struct AuditReport {
  turn::Server::Audit counts;  // of all workers together
  std::size_t connections = 0;
  std::size_t sessions = 0;
  std::size_t descriptors = 0;
  std::size_t quota = 0;
  Duration standstill{0};
  Findings findings;
};

}  // namespace turnpike::server
