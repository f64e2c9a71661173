// World: a network that exists only in memory. Virtual time, links that delay, lose, duplicate and
// reorder, all drawn from one seed: the same seed is the same history. Single thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/time.h"

namespace turnpike::sim {

// Whoever owns a public IP address: a server, or a NAT with a client behind it.
class Node {
 public:
  virtual ~Node() = default;
  virtual void on_datagram(const Address& to, const Address& from, ByteView bytes) = 0;
};

struct LinkQuality {
  double loss = 0;
  double duplication = 0;
  milliseconds delay{20};
  milliseconds jitter{0};  // uniform on top of the delay; more than the sending interval reorders
};

class World {
 public:
  explicit World(std::uint64_t seed, LinkQuality quality);

  Tick now() const { return now_; }
  Random& random() { return random_; }
  bool chance(double probability);

  void attach(const IpAddress& ip, Node& node) { nodes_[ip] = &node; }
  void transmit(const Address& from, const Address& to, ByteView bytes);
  void at(MonoTime when, std::function<void()> action);
  void after(Duration delay, std::function<void()> action) {
    at(now_.mono + delay, std::move(action));
  }
  // Runs everything that happens until then; the clock stands there afterwards.
  void run_until(MonoTime end);
  void run_for(Duration duration) { run_until(now_.mono + duration); }

 private:
  struct Happening {
    MonoTime when;
    std::uint64_t order;  // first come, first served among equals
    std::function<void()> action;
    bool operator<(const Happening& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  void deliver_later(const Address& from, const Address& to, ByteView bytes);

  SeededRandom random_;
  LinkQuality quality_;
  Tick now_;
  std::uint64_t order_ = 0;
  std::map<IpAddress, Node*> nodes_;
  std::priority_queue<Happening> future_;
};

}  // namespace turnpike::sim
