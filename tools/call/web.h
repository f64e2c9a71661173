// The two ways in which a caller talks to the server over HTTP: a request with its whole answer,
// and a WebSocket. Each owns its connection, TCP or TLS, on the loop; its thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tools/call/loop.h"
#include "tools/call/options.h"
#include "tools/load/byte_stream.h"
#include "tools/load/signal_load_frames.h"

namespace turnpike::call {

// How to get to the server.
struct WebTarget {
  Address address;
  Address from;
  std::string authority;  // for the Host header
  SSL_CTX* context = nullptr;
  std::string name;  // what its certificate is for; "": anything
};

class WebConnection : private Loop::Watcher {
 public:
  ~WebConnection() override;

 protected:
  explicit WebConnection(Loop& loop) : loop_(loop) {}
  // False when not even a beginning was possible; on_lost() has been called.
  bool open(const WebTarget& target);
  void send(std::string_view bytes);
  void close();

  virtual void on_connected() = 0;
  virtual void on_bytes(std::string_view bytes) = 0;
  virtual void on_lost(const std::string& why) = 0;  // last call

  Loop& loop_;

 private:
  void on_ready() override;
  void note_interest();

  std::unique_ptr<load::ByteStream> stream_;
  bool connected_ = false;
  bool writing_ = false;
};

class WebSocket final : public WebConnection {
 public:
  // Must not destroy the socket.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_web_open() = 0;
    virtual void on_web_text(std::string_view text) = 0;
    virtual void on_web_lost(const std::string& why) = 0;
  };
  WebSocket(Loop& loop, Owner& owner) : WebConnection(loop), owner_(owner) {}

  void open(const WebTarget& target, const std::string& path);
  void say(std::string_view text);
  void hang_up();  // no more calls of the owner
  bool is_open() const { return open_; }

 private:
  void on_connected() override;
  void on_bytes(std::string_view bytes) override;
  void on_lost(const std::string& why) override;
  void lose(const std::string& why);
  bool take_handshake();
  bool take_frame();

  Owner& owner_;
  std::string authority_, path_;
  std::string in_;
  std::string message_;  // of a fragmented one
  bool open_ = false;
  bool over_ = false;
};

struct HttpAnswer {
  int status = 0;  // 0: none came, and `body` says why
  std::string body;
};
// As much of HTTP as a caller needs: a request of the server's own API, and its whole answer.
// nullopt: not whole yet.
std::optional<HttpAnswer> parse_http_answer(std::string_view bytes);

class HttpRequest final : public WebConnection {
 public:
  using Done = std::function<void(const HttpAnswer&)>;
  struct Wish {
    std::string method, path, key, body;
  };
  HttpRequest(Loop& loop, Done done) : WebConnection(loop), done_(std::move(done)) {}
  void send_to(const WebTarget& target, const Wish& wish);

 private:
  static constexpr std::size_t kMaxAnswer = 256 * 1024;
  void on_connected() override { send(request_); }
  void on_bytes(std::string_view bytes) override;
  void on_lost(const std::string& why) override;
  void finish(const HttpAnswer& answer);

  Done done_;
  std::string request_, in_;
};

}  // namespace turnpike::call
