// EchoEndpoint: the built-in member of the room "echo", without sockets and clocks. It keeps the
// sessions of all guests, in bounds, and finds the one that a datagram is for:
//
//   Binding request   by the fragment of ours that its USERNAME begins with (RFC 8445
//   section 7.2.2);
//                     whose password signed it, is the session's to judge
//   anything else     by its path: base and remote address, which a good check has made known
//
// Nothing is kept of, or answered to, anybody else, and nobody is sent anything before a check with
// its session's password came from there: no traffic can be aimed at others. The hub loop's thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/address.h"
#include "base/random.h"
#include "base/time.h"
#include "ice/media/identity.h"
#include "server/echo_session.h"
#include "signaling/echo_desk.h"

namespace turnpike::server {

class EchoEndpoint final : public signaling::EchoDesk {
 public:
  struct Limits {
    std::uint32_t guests = 8;
    seconds time{300};  // of one guest, from the join
  };
  // Of one address (IPv4) or /64 (IPv6); loopback is exempt, for a proxy there speaks for
  // everybody.
  static constexpr std::uint32_t kMaxPerSource = 2;
  // Of a guest who reads nothing; more is dropped, statistics first.
  static constexpr std::size_t kMaxWords = 64;

  class Network {
   public:
    virtual ~Network() = default;
    virtual void send(ice::Base base, const Address& to, ByteView datagram) = 0;
    virtual bool is_relayed_here(const Address& remote) const = 0;
  };
  struct Parts {
    const media::Identity& identity;
    Random& random;
    Network& network;
  };
  // `addresses` are the transport addresses that guests are told, by ice::Base.
  EchoEndpoint(Limits limits, std::vector<Address> addresses, Parts parts);
  ~EchoEndpoint() override;

  // EchoDesk
  std::optional<std::string_view> refusal(const IpAddress& source) override;
  void on_guest(Tick now, Guest guest, const IpAddress& source) override;
  void on_message(Tick now, Guest guest, std::string_view data) override;
  void on_gone(Tick now, Guest guest) override;
  std::optional<Word> next_word() override;
  bool has_word() const override { return !words_.empty(); }

  void on_datagram(Tick now, ice::Base base, const Address& from, ByteView datagram);
  void on_time(Tick now);
  MonoTime next_deadline() const;
  // Says goodbye on every path.
  void close_all(Tick now);

  std::size_t guest_count() const { return guests_.size(); }
  // Since the start.
  struct Statistics {
    std::uint64_t guests = 0;
    std::uint64_t refused_full = 0;        // every echo was taken
    std::uint64_t refused_per_source = 0;  // the address had as many as one may have
    std::uint64_t timed_out = 0;           // guests whose time was over
  };
  const Statistics& statistics() const { return statistics_; }

 private:
  struct Seat;
  struct Path {
    ice::Base base = 0;
    Address remote;
    bool operator==(const Path&) const = default;
  };
  struct PathHash {
    std::size_t operator()(const Path& path) const { return hash_value(path.remote) + path.base; }
  };
  Seat* seat_of(Guest guest);
  Seat* seat_of_check(ByteView message);

  const Limits limits_;
  const std::vector<Address> addresses_;
  const Parts parts_;
  std::unordered_map<std::string, Seat*> by_fragment_;  // at most one for each guest
  std::unordered_map<Path, Seat*, PathHash> by_path_;   // at most EchoSession::kMaxPaths
  std::deque<Word> words_;
  Statistics statistics_;
  std::unordered_map<Guest, std::unique_ptr<Seat>> guests_;
};

}  // namespace turnpike::server
