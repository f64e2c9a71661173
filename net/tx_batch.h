// TxBatch: a worker's outgoing datagrams, collected during one turn of the loop and sent with as
// few system calls as the kernel allows. push() copies once into an arena; runs of the same
// (socket, destination, size) leave as one UDP_SEGMENT send, the rest of a flush as sendmmsg per
// socket, and what is alone on its socket as sendto.
//
// UDP_SEGMENT is never used for a single packet or for a segment above the path MTU's usual 1472
// bytes. When a segmented send fails with EINVAL, EIO or EMSGSIZE that run is sent plainly, and GSO
// is given up for good only when a known-good probe on loopback fails too: no client can switch it
// off for the others. Datagrams the kernel refuses (full socket buffer, unreachable) are dropped
// and counted, as a router would. A run's traffic class goes into the IP header when it is not
// zero. A run that asks for DF leaves datagram by datagram, with the socket's option set around it:
// what is too big for the path is refused, which the socket's error queue tells.
// No allocation after construction. Worker thread only.
#pragma once

#include <cstdint>
#include <memory>

#include "base/address.h"
#include "base/bytes.h"
#include "base/run.h"

namespace turnpike::net {

class TxBatch {
 public:
  enum class Segmentation : std::uint8_t { kProbe, kOff };  // kOff is the operator's kill switch
  explicit TxBatch(Segmentation segmentation);
  ~TxBatch();
  TxBatch(const TxBatch&) = delete;
  TxBatch& operator=(const TxBatch&) = delete;

  // Each segment of `body` becomes one datagram: head + segment + pad zero bytes (0 to 3). With an
  // empty body (count 0) the head alone is the datagram. Flushes by itself when the arena is full.
  void push(int fd, const Address& destination, ByteView head, const Run& body,
            std::uint8_t pad = 0);
  void flush();
  // Call before a descriptor is closed: what waits for it leaves first.
  void flush_before_close(int fd);

  struct Statistics {
    std::uint64_t datagrams = 0;
    std::uint64_t segmented_sends = 0;  // UDP_SEGMENT messages, each many datagrams
    std::uint64_t system_calls = 0;
    std::uint64_t dropped = 0;
  };
  const Statistics& statistics() const { return statistics_; }
  bool segmentation_in_use() const { return segmentation_; }

 private:
  struct Arena;
  struct Message;
  struct Burst;

  struct Flow {
    int fd;
    const Address& destination;
    std::uint8_t traffic_class;
    DontFragment dont_fragment = DontFragment::kUnset;
  };

  struct Datagram {
    ByteView head;
    ByteView body;
    ByteView pad;
    std::size_t size() const { return head.size() + body.size() + pad.size(); }
  };

  void append(Message*& message, const Flow& flow, const Datagram& datagram);
  void send_chain(int fd, std::uint32_t first);
  void send_alone(const Message& message);
  void send_burst(int fd);
  void send_plainly(int fd, const Message& message);
  void send_unfragmented(int fd, const Message& message);
  void on_refused(int fd, const Message& message, int error);
  template <typename OnTaken, typename OnRefused>
  void transmit(int fd, Burst& burst, OnTaken taken, OnRefused refused);
  unsigned send_some(int fd, Burst& burst, unsigned first);
  void on_segmentation_refused();

  std::unique_ptr<Arena> arena_;
  Statistics statistics_;
  bool segmentation_;
  std::uint32_t fallbacks_until_probe_ = 0;
};

}  // namespace turnpike::net
