// EchoDoor: the sockets, the time and the certificate of the echo endpoint. One UDP socket for each
// relay address, with a port of the relay range: whoever can reach a relayed transport address can
// reach the echo, and so can clients of this relay, for the address is the one service of ours that
// they may name as a peer (SharedRelays::open_service). Behind a 1:1 NAT guests are told the
// external address, and a client of this relay is seen by its external address too, as it calls
// itself. Lives on the hub's loop; that thread.
#pragma once

#include <memory>
#include <vector>

#include "base/random.h"
#include "ice/media/identity.h"
#include "net/loop.h"
#include "net/tx_batch.h"
#include "net/udp_socket.h"
#include "server/echo_endpoint.h"
#include "server/plan.h"
#include "server/shared_relays.h"

namespace turnpike::server {

class EchoDoor final : private net::UdpListener::Receiver, private EchoEndpoint::Network {
 public:
  // A smaller range of relay ports is left to the relays.
  static constexpr std::uint32_t kLeastRelayPorts = 32;
  static constexpr std::uint32_t kDraws = 64;  // of a port, for each address

  struct Parts {
    const Plan& plan;
    net::Loop& loop;
    SharedRelays& relays;
    Random& random;
  };
  // Binds. nullptr when there is to be no echo, or none can be; the log says why.
  static std::unique_ptr<EchoDoor> open(const Parts& parts);
  ~EchoDoor() override;

  signaling::EchoDesk& desk() { return endpoint_; }
  const EchoEndpoint& endpoint() const { return endpoint_; }
  const std::vector<std::unique_ptr<net::UdpListener>>& sockets() const { return sockets_; }
  void start();
  void shut_down();

 private:
  using Sockets = std::vector<std::unique_ptr<net::UdpListener>>;
  EchoDoor(const Parts& parts, Sockets sockets, std::unique_ptr<media::Identity> identity);
  static Sockets bind(const Parts& parts);

  void on_datagrams(net::UdpListener& listener, const Address& from, const Run& run) override;
  void send(ice::Base base, const Address& to, ByteView datagram) override;
  bool is_relayed_here(const Address& remote) const override;
  // As the world calls it; and where that really is.
  Address seen(const Address& from) const;
  Address meant(const Address& to) const;
  void flush();

  const Plan& plan_;
  net::Loop& loop_;
  const SharedRelays& relays_;
  const std::unique_ptr<media::Identity> identity_;
  Sockets sockets_;
  net::RxArena arena_;
  net::TxBatch batch_;
  EchoEndpoint endpoint_;
  net::LoopTimer timer_;
};

}  // namespace turnpike::server
