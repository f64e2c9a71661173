// What strangers send to a DTLS listener, and what clients send during their handshake. The input
// is a list of datagrams, each behind two bytes of length. The first byte of the input chooses who
// they are from: a stranger, or a client whose cookie has come back (a real one began, so that the
// fuzzer need not guess a cookie). A stranger is never sent more than it sent.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/dtls.h"
#include "tests/base/dtls_contexts.h"

namespace turnpike::dtls {
namespace {

const Address kClient{IpAddress::v4(192, 0, 2, 1), 50000};

struct Wire final : Output {
  void send(ByteView datagram) override {
    bytes += datagram.size();
    last.assign(datagram.begin(), datagram.end());
  }
  std::size_t bytes = 0;
  std::vector<std::uint8_t> last;
};

// A server's end after the ClientHello of a client that there is no more.
std::unique_ptr<Association> begun(Contexts& contexts, Listener& listener, Wire& wire) {
  Wire to_server;
  const auto client = Association::create(contexts.client(), Association::Role::kClient, to_server);
  client->start();
  CHECK(listener.on_datagram({}, kClient, to_server.last, wire) == nullptr);
  client->feed(wire.last);
  auto server = listener.on_datagram({}, kClient, to_server.last, wire);
  CHECK(server != nullptr);
  server->send_to(wire);
  server->start();
  return server;
}

}  // namespace
}  // namespace turnpike::dtls

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace turnpike;
  static dtls::Contexts contexts;
  static SeededRandom random(1);
  static dtls::Listener listener(contexts.server(), random);
  if (size == 0) return 0;
  Reader in(ByteView(data + 1, size - 1));
  dtls::Wire wire;
  std::unique_ptr<dtls::Association> server;
  if (data[0] % 2 == 1) server = dtls::begun(contexts, listener, wire);
  std::array<std::uint8_t, dtls::kMaxPayload> room;
  while (in.remaining() > 2) {
    const std::size_t wanted = in.u16();
    const ByteView datagram = in.bytes(std::min(wanted, in.remaining()));
    if (server != nullptr) {
      server->feed(datagram);
      while (server->read(room)) {
      }
      continue;
    }
    wire.bytes = 0;
    server = listener.on_datagram({}, dtls::kClient, datagram, wire);
    CHECK(wire.bytes <= datagram.size());
    if (server == nullptr) continue;
    server->send_to(wire);
    server->start();
  }
  return 0;
}
