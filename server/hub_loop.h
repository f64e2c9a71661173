// HubLoop: where HTTP and WebSocket connections live. It drives the one signaling::Carrier on a
// loop: with one worker that worker's own loop, with more a loop of its own on the main thread.
// Gives the carrier its bytes, its time and its files, and carries out what it says.
//
// Where relay and signaling share a loop, signaling may begin nothing more once it has used kBudget
// between two flushes; connections beyond it wait for the next turn, first come first served, so
// that a burst of joins does not hold up a relayed packet for long.
// Everything runs on the loop's thread except post().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/findings.h"
#include "base/mailbox.h"
#include "net/loop.h"
#include "net/stream.h"
#include "server/static_files.h"
#include "signaling/carrier.h"

namespace turnpike::server {

class HubLoop final : private signaling::Outlet {
 public:
  static constexpr std::size_t kMailboxCapacity = 4096;
  // After close(), a reader that takes nothing for this long is cut, and every reader after this
  // much longer.
  static constexpr seconds kFarewell{10};
  static constexpr seconds kLongestFarewell{300};
  static constexpr std::size_t kMaxLeaving = 4096;
  // For all readers together, files aside: beyond it whoever is written to is cut.
  static constexpr std::size_t kMaxQueuedBytes = 128u << 20;
  static constexpr seconds kShutdownTime{2};
  static constexpr Duration kBudget = milliseconds(1);
  // Files being read or sent to readers that may be slow; beyond it the next ones wait.
  static constexpr std::uint64_t kMaxFileBytes = 512u << 20;

  enum class Sharing : std::uint8_t { kOwnLoop, kWithRelay };
  struct Wiring {
    net::Loop& loop;
    Sharing sharing = Sharing::kOwnLoop;
    const StaticFiles* files = nullptr;       // nullptr: no --static
    const StaticFiles* challenges = nullptr;  // nullptr: no --acme-webroot
    Duration budget = kBudget;                // of kWithRelay
  };

  // The carrier outlives it.
  HubLoop(signaling::Carrier& carrier, Wiring wiring);
  ~HubLoop() override;

  // Any thread. False when the mailbox is full; the connection is closed then.
  [[nodiscard]] bool post(net::Stream::Released released);
  // The loop's thread: a stream that lives on this loop already.
  void take(std::unique_ptr<net::Stream> stream, ByteView unread);
  // The loop's thread: says goodbye to everybody, waits for file reads under way, calls `done`.
  void shut_down(std::function<void()> done);
  // For an audit, the loop's thread: connections, those included that are on their way here and
  // those that are being said goodbye to; files that may be open.
  std::size_t connections() { return visitors_.size() + leaving_.size() + mailbox_.size(); }
  std::size_t open_files() const { return reads_ + challenge_reads_; }
  void audit(Findings& findings) const;

 private:
  struct Visitor;

  std::size_t write(signaling::ConnectionHandle connection, ByteView bytes) override;
  void close(signaling::ConnectionHandle connection) override;
  void read_file(signaling::ConnectionHandle connection, signaling::Folder folder,
                 std::string_view path) override;

  Visitor* admit(std::unique_ptr<net::Stream> stream);
  Visitor* find(signaling::ConnectionHandle connection);
  bool has_time() const;
  void on_bytes(Visitor& visitor, ByteView bytes);
  void on_drained(Visitor& visitor);
  void on_end(Visitor& visitor);
  void on_mail();
  void read_challenge(signaling::ConnectionHandle connection, std::string_view path);
  void read_waiting_files();
  void on_file(signaling::ConnectionHandle connection, const signaling::FileAnswer& answer);
  void on_time();
  void end_turn();
  void cut_stuck(MonoTime now);
  void finish_if_empty();
  MonoTime next_deadline() const;

  net::Loop& loop_;
  const Wiring wiring_;
  signaling::Carrier& carrier_;
  net::LoopTimer timer_;
  net::Async mail_arrived_;
  Mailbox<net::Stream::Released> mailbox_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Visitor>> visitors_;
  // Closed by the carrier, still sending; ordered by leave_by.
  std::list<std::unique_ptr<Visitor>> leaving_;
  Duration spent_{0};  // since the last flush; counted where the loop is shared
  std::uint64_t file_bytes_ = 0;
  std::uint32_t reads_ = 0;  // files being read; their threads know the loop
  std::uint32_t challenge_reads_ = 0;
  struct WaitingRead {
    signaling::ConnectionHandle connection;
    std::string path;
  };
  std::deque<WaitingRead> waiting_reads_;  // at most one of each connection
  std::function<void()> shut_down_done_;
  MonoTime shut_down_by_ = MonoTime::never();
  bool finished_ = false;
};

}  // namespace turnpike::server
