// The live relayed transport addresses of this whole process, and how they look from outside.
// Two relayed clients of one server reach each other through these, although every address of ours
// is denied as a peer otherwise: the one built-in exception, judged by address and port.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/address.h"

namespace turnpike::turn {

// Answered from memory that all workers share; a packet may ask, only open and close write.
class LiveRelays {
 public:
  virtual ~LiveRelays() = default;
  virtual bool is_live(const Address& relayed) const = 0;  // as bound locally
};

// A 1:1 NAT before the server: --external-ip PUBLIC/PRIVATE. Immutable.
class ExternalAddresses {
 public:
  struct Mapping {
    IpAddress external;
    IpAddress local;
    bool operator==(const Mapping&) const = default;
  };
  ExternalAddresses() = default;
  explicit ExternalAddresses(std::vector<Mapping> mappings) : mappings_(std::move(mappings)) {}

  // What the world calls a local relay address; itself when there is no mapping.
  IpAddress to_external(const IpAddress& local) const;
  // Where a packet to an external address of ours must really go; itself when it is not ours.
  IpAddress to_local(const IpAddress& external) const;
  const std::vector<Mapping>& mappings() const { return mappings_; }

 private:
  std::vector<Mapping> mappings_;
};

}  // namespace turnpike::turn
