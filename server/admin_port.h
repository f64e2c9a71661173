// AdminPort: HTTP with JSON for the operator of this machine, on a UNIX socket that only the
// server's user and root may open (`turnpike ctl` is its client, docs/operations.md the list of
// requests). What workers must be asked is asked by mail, and the answer waits for all of theirs.
// Lives on the main loop; answer() may come from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/mailbox.h"
#include "net/loop.h"
#include "net/unix_listener.h"
#include "server/hub_loop.h"
#include "server/sessions.h"
#include "signaling/carrier.h"

namespace turnpike::server {

class AdminPort final : private signaling::Routes, private signaling::Endpoint {
 public:
  static constexpr std::size_t kMaxQuestions = 16;  // that wait for workers at once
  static constexpr seconds kPatience{5};            // then a worker does not answer
  static constexpr std::size_t kDefaultRows = 100;

  // One worker's answer to the question of that number.
  struct Answer {
    std::uint64_t question = 0;
    SessionPage page;    // of ask_sessions
    bool ended = false;  // of ask_kick
  };
  using Reply = std::function<void(Answer)>;

  // What it may ask of the server. Bodies are JSON texts.
  struct Hooks {
    std::function<std::string()> info;
    std::function<std::string(std::size_t limit)> rooms;
    // nullopt: a worker does not answer. `callers` are the connections of this port.
    std::function<std::optional<std::string>(std::size_t callers)> audit;
    // The names of the relay credentials in a room; nullopt: there is no such room.
    std::function<std::optional<std::vector<std::string>>(std::string_view room)> names_in_room;
    // How many workers were asked; each of them calls `reply` once.
    std::function<std::size_t(const SessionWish&, std::uint64_t question, Reply reply)>
        ask_sessions;
    std::function<std::size_t(const SessionId&, std::uint64_t question, Reply reply)> ask_kick;
    std::function<bool(std::string_view member)> kick_member;
    std::function<void()> drain;
    std::function<Expected<std::string>()> reload;
    std::function<bool(std::string_view level)> set_log_level;
    std::function<std::string(std::string_view name, seconds ttl)> credentials;
  };

  AdminPort(net::Loop& loop, std::unique_ptr<net::UnixListener> listener, Hooks hooks);
  void start();

 private:
  struct Question {
    signaling::ConnectionHandle connection;  // empty: whoever asked is gone
    std::size_t waits_for = 0;               // workers
    bool kicks = false;
    std::size_t limit = 0;
    std::vector<SessionPage> pages;
    bool ended = false;
    MonoTime until;
  };

  // Routes
  void on_request(Tick now, signaling::ConnectionHandle connection,
                  const signaling::Visit& visit) override;
  // Endpoint: of requests whose answer waits
  std::size_t max_message() const override { return 0; }
  Tag on_open(Tick, signaling::ConnectionHandle, const signaling::Visit&) override { return 0; }
  void on_message(Tick, signaling::ConnectionHandle, Tag, signaling::ws::Opcode,
                  std::string_view) override {}
  void on_gone(Tick now, signaling::ConnectionHandle connection, Tag tag) override;
  void on_time(Tick now) override;
  MonoTime next_deadline() const override;

  using Response = signaling::http::Response;
  using Request = signaling::http::Request;
  Response answer(const Request& request);
  Response order(std::string_view what, const Request& request);
  void list(Tick now, signaling::ConnectionHandle connection, const Request& request);
  void kick(Tick now, signaling::ConnectionHandle connection, std::string_view id);
  void wait_for(Tick now, signaling::ConnectionHandle connection, std::uint64_t number,
                Question question);
  void finish(const Question& question);
  Reply reply();

  net::Loop& loop_;
  const std::unique_ptr<net::UnixListener> listener_;
  const Hooks hooks_;
  signaling::Carrier carrier_;
  HubLoop connections_;
  net::Async answered_;
  Mailbox<Answer> answers_;
  std::map<std::uint64_t, Question> questions_;
  std::uint64_t last_question_ = 0;
  bool heard_ = false;  // answers that on_time() is to look at
};

}  // namespace turnpike::server
