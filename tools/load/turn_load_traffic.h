// Packets through a fleet of allocations: composes and judges every one of them, and keeps either a
// window full or a pace. A packet of flow 2n goes up, from the client of session n to its peer, one
// of 2n + 1 down. The peer is one socket for all, or with the short-cut the client of the session
// beside. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "net/sockaddr.h"
#include "tools/load/turn_load_fleet.h"
#include "tools/load/turn_load_payload.h"
#include "tools/load/turn_load_report.h"
#include "tools/load/turn_load_sockets.h"

namespace turnpike::load {

class Traffic final : private Receiver {
 public:
  // `peer_fd` -1: the short-cut.
  Traffic(const Options& options, Fleet& fleet, unsigned allocations, int peer_fd,
          const Address& peer);

  // Sends and receives until `end`; nothing is sent when `sending` is kNo.
  enum class Sending : std::uint8_t { kNo, kYes };
  void run_until(std::uint64_t end, Sending sending);

  // What is counted from here on is what is measured.
  void begin_measuring();
  void end_measuring() { measuring_ = false; }
  Report& report() { return report_; }
  std::uint64_t delivered() const { return report_.delivered[0] + report_.delivered[1]; }

 private:
  enum Direction : unsigned { kUp = 0, kDown = 1 };
  struct Flow {
    std::uint32_t next = 0;
    Arrivals arrivals;
  };
  struct Lane {  // one direction of all flows
    bool used = false;
    std::size_t turn = 0;         // whose burst is next
    std::uint64_t under_way = 0;  // sent, neither seen nor passed by a later one
    std::uint64_t last_arrival = 0;
  };

  void on_payload(std::uint32_t session, const Address* peer, ByteView payload) override;
  void read_peer();
  void judge(std::uint32_t flow, ByteView payload, bool right_way);

  void fill_window(std::uint64_t now);
  void keep_pace(std::uint64_t now);
  void send_burst(Direction direction);
  void send_up(Session& session, Flow& flow);
  void send_down(Session& session, Flow& flow);
  void compose_up(MutableBytes room, std::uint32_t flow, std::uint32_t sequence);
  std::size_t up_size() const { return head_size_ + options_.size + tail_; }

  const Options& options_;
  Fleet& fleet_;
  unsigned allocations_;
  int peer_fd_;
  Address peer_;
  Payloads payloads_;
  Outbox outbox_;
  Inbox inbox_;
  std::vector<Flow> flows_;
  std::vector<net::SocketAddress> relayed_;
  std::vector<std::vector<std::uint8_t>> heads_;  // of each session's packets up
  std::size_t head_size_ = 0, tail_ = 0;
  std::vector<std::uint8_t> scratch_;  // a message of which a DTLS record is made
  Lane lanes_[2];
  std::uint64_t indications_ = 0;
  std::uint64_t now_ = 0, next_send_ = 0;
  unsigned next_lane_ = 0;
  bool measuring_ = false;
  Report report_;
};

}  // namespace turnpike::load
