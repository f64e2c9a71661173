// The least of HTTP and WebSocket that tests need: one request and its answer, and text frames.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/loopback/transport.h"

namespace turnpike::loopback {

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
};
// Sends the request as it is and reads one answer with a Content-Length.
HttpAnswer ask(RawConnection& connection, std::string_view request);
HttpAnswer get(RawConnection& connection, std::string_view path);
// With the test's API key.
HttpAnswer post_json(RawConnection& connection, std::string_view path, std::string_view body);

class WebSocket {
 public:
  // nullptr when the upgrade is refused.
  static std::unique_ptr<WebSocket> open(std::unique_ptr<RawConnection> connection,
                                         std::string_view path = "/ws");
  bool send(std::string_view text);
  // The next text message; nullopt when the connection ends or nothing comes.
  std::optional<std::string> receive();
  // The next message whose "type" is this.
  std::optional<std::string> receive_type(std::string_view type);
  RawConnection& connection() { return *connection_; }

 private:
  explicit WebSocket(std::unique_ptr<RawConnection> connection)
      : connection_(std::move(connection)) {}
  std::unique_ptr<RawConnection> connection_;
  std::string buffer_;
};

}  // namespace turnpike::loopback
