// Network: the sockets under one gatherer, its hosts' and its links to TURN servers. Owned by an
// endpoint, on the loop; its thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ice/gatherer.h"
#include "tools/call/loop.h"
#include "tools/load/turn_load_link.h"

namespace turnpike::call {

class Network {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_datagram(ice::Base host, const Address& from, ByteView bytes) = 0;
    virtual void on_link_open(std::size_t server) = 0;
    virtual void on_link_lost(std::size_t server, const std::string& why) = 0;
    virtual void on_link_message(std::size_t server, ByteView message) = 0;
  };
  struct LinkWish {
    std::size_t server;
    Address address, from;
    load::Transport transport;
    SSL_CTX* context;
    std::string name;
  };

  Network(Loop& loop, Owner& owner);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Binds a socket to a port of the kernel's choice; its address, with the port.
  Expected<Address> open_host(const IpAddress& ip);
  void open_link(const LinkWish& wish);

  void send(ice::Base host, const Address& to, ByteView bytes);
  void send_to_server(std::size_t server, ByteView message);

 private:
  static constexpr int kReceiveBuffer = 1 << 18;
  class Host;
  class Way;  // a link

  Loop& loop_;
  Owner& owner_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Way>> ways_;  // by server
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace turnpike::call
