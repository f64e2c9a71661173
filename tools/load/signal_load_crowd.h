// Crowd: the clients of a run, on one epoll set. It connects them, a bounded number at a time,
// speaks their dialect until they are ready, and hands over what their peers send. Owned by a run;
// the generator's own thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/load/signal_load_dialects.h"
#include "tools/load/signal_load_frames.h"

namespace turnpike::signal_load {

using Nanoseconds = std::uint64_t;
inline constexpr Nanoseconds kSecond = 1'000'000'000;
Nanoseconds monotonic_now();

// Where the server is.
struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
  std::string host;  // for the Host header
  std::string path;  // "" or "/": the dialect's own
};

class Crowd {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_ready(std::uint32_t client, Nanoseconds took) = 0;
    virtual void on_data(std::uint32_t client, std::string_view data, Nanoseconds now) = 0;
  };
  struct Plan {
    std::uint32_t clients = 2;
    std::uint32_t at_once = 64;  // opening
    bool enters = true;          // rooms
  };

  Crowd(const Target& target, const Dialect& dialect, Plan plan, Listener& listener);
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // Serves the sockets until `deadline`, or until something has been served after it.
  void serve(Nanoseconds deadline);
  void send(std::uint32_t client, std::string_view text);
  // What clients owe the server so that it does not take them for dead.
  void heartbeat(Nanoseconds now);

  const Seat& seat(std::uint32_t client) const { return clients_[client].seat; }
  const std::string& room(std::uint32_t client) const { return rooms_[client / 2]; }
  std::uint32_t ready() const { return ready_; }
  std::uint32_t lost() const { return lost_; }  // refused, closed, or cut
  const std::string& first_loss() const { return first_loss_; }
  bool opening() const { return begun_ < plan_.clients || in_flight_ > 0; }

 private:
  enum class Phase : std::uint8_t { kNew, kConnecting, kShaking, kTalking, kReady, kLost };
  struct Client {
    int fd = -1;
    Phase phase = Phase::kNew;
    Seat seat;
    Nanoseconds began = 0;
    std::string in;   // of a frame that is not whole yet
    std::string out;  // what the kernel did not take
  };

  void open_more();
  bool open(std::uint32_t index);
  void on_events(std::uint32_t index, std::uint32_t events);
  void read(std::uint32_t index, bool to_the_end);
  bool consume(std::uint32_t index, std::string_view& bytes);
  bool on_handshake(std::uint32_t index, std::string_view& bytes);
  bool on_frame(std::uint32_t index, const Frame& frame);
  void act(std::uint32_t index, Meaning meaning, const std::string& reply, std::string_view data);
  void say(Client& client, Opcode opcode, std::string_view payload);
  void write(Client& client, std::string_view bytes);
  void lose(std::uint32_t index, const std::string& why);

  const Target& target_;
  const Dialect& dialect_;
  const Plan plan_;
  Listener& listener_;
  int epoll_ = -1;
  std::vector<Client> clients_;
  std::vector<std::string> rooms_;
  std::vector<char> buffer_;
  std::string frame_;
  std::uint32_t begun_ = 0;
  std::uint32_t in_flight_ = 0;
  std::uint32_t ready_ = 0;
  std::uint32_t lost_ = 0;
  Nanoseconds next_heartbeat_ = 0;
  std::string first_loss_;
};

}  // namespace turnpike::signal_load
