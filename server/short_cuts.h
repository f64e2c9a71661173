// Short-cuts: packets from one relayed transport address of this process to another, which need not
// visit the kernel. The receiver judges them as if they had come from the network: the source is
// the sender's relayed transport address, and its permission is asked for. What is relayed to a
// client is never relayed on, so two allocations that are each other's peers make no loop.
//
//   same worker    the run is remembered until the input under way is over and then given to the
//                  relay, straight from the receive buffer.
//   other worker   the run is copied into Parcels, which leave once in each turn of the loop for
//   the
//                  other worker's ParcelBox: one lock and one wake-up for all of them.
//
// ShortCuts belongs to a worker's thread. ParcelBoxes are shared, one for each worker.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/address.h"
#include "base/counters.h"
#include "base/run.h"
#include "server/shared_relays.h"

namespace turnpike::server {

// Runs with the addresses they travel between, bounded. It keeps its memory when it is cleared, so
// that steady traffic asks for none; what a burst has made of it goes when none like it has come
// for a while, or every one of them would in the end be as large as the worst moment of the server.
class Parcels {
 public:
  static constexpr std::size_t kMaxRuns = 4096;
  static constexpr std::size_t kMaxBytes = 1 << 20;
  static constexpr std::size_t kKeptRuns = 256;  // whatever happens
  static constexpr std::size_t kKeptBytes = 64 << 10;
  static constexpr std::uint32_t kPatience = 1024;  // times it is cleared between two looks

  // Copies; false when there is no room.
  [[nodiscard]] bool add(const Address& from, const Address& to, const Run& run);
  // Answers how many packets found no room.
  std::uint64_t append(const Parcels& others);
  bool empty() const { return entries_.empty(); }
  void clear();
  // What it takes from the heap, full or empty.
  std::size_t memory() const { return entries_.capacity() * sizeof(Entry) + bytes_.capacity(); }
  // f(from, to, run) in the order in which they were added; the runs borrow.
  template <typename F>
  void for_each(F&& f) const {
    for (const Entry& entry : entries_) f(entry.from, entry.to, run_of(entry));
  }

 private:
  struct Entry {
    Address from, to;
    std::size_t offset = 0;
    Run shape;  // without its bytes
  };
  Run run_of(const Entry& entry) const;

  std::vector<Entry> entries_;
  std::vector<std::uint8_t> bytes_;
  // Since the last look.
  std::uint32_t cleared_ = 0;
  std::size_t most_runs_ = 0, most_bytes_ = 0;
};

// Any thread posts, the owner takes.
class ParcelBox {
 public:
  // Once, before any thread posts: called by the posting thread when the box was empty before.
  void on_post(std::function<void()> wake) { wake_ = std::move(wake); }
  // Answers how many packets found no room.
  std::uint64_t post(const Parcels& parcels);
  // What waits goes to the empty `into`, whose memory is used for what comes next.
  void take(Parcels& into);

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  Parcels waiting_;
};

class ShortCuts {
 public:
  // One input can be a train of packets to as many peers.
  static constexpr std::size_t kMaxOfOneInput = 128;
  struct Delivery {
    std::uint64_t owner = 0;  // RelayWish::owner of the receiver
    Address from;
    Run run;
  };
  struct Statistics {
    Counter packets;  // handed over, on this worker or to another
    Counter dropped;  // no room, or larger than a datagram can be
  };

  // Both outlive it; a box for each worker.
  ShortCuts(std::uint32_t worker, const SharedRelays& relays,
            const std::vector<std::unique_ptr<ParcelBox>>& boxes);

  // Between the two the runs that are offered must stay valid.
  void begin_input() { taking_ = true; }
  template <typename F>
  void end_input(F&& deliver) {
    taking_ = false;
    for (std::size_t i = 0; i < waiting_; ++i) deliver(deliveries_[i]);
    waiting_ = 0;
  }

  // False: `to` is no live relayed transport address of ours, or no input is under way.
  bool take(const Address& from, const Address& to, const Run& run);
  // Sends what other workers are to deliver.
  void flush();
  // Delivers what they sent, as far as it is still this worker's.
  template <typename F>
  void open_box(F&& deliver) {
    boxes_[worker_]->take(received_);
    received_.for_each([&](const Address& from, const Address& to, const Run& run) {
      const auto route = relays_.route(to);
      if (!route || route->worker != worker_) return statistics_.dropped.add(run.count);
      deliver(Delivery{route->owner, from, run});
    });
    received_.clear();
  }

  const Statistics& statistics() const { return statistics_; }

 private:
  struct Outgoing {
    Parcels parcels;
    bool waits = false;
  };

  const std::uint32_t worker_;
  const SharedRelays& relays_;
  const std::vector<std::unique_ptr<ParcelBox>>& boxes_;
  bool taking_ = false;
  std::size_t waiting_ = 0;
  std::array<Delivery, kMaxOfOneInput> deliveries_;
  std::vector<Outgoing> outgoing_;              // by worker
  std::vector<std::uint32_t> waits_for_flush_;  // whose outgoing parcels are not empty
  Parcels received_;
  Statistics statistics_;
};

}  // namespace turnpike::server
