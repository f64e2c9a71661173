// Call: two endpoints in one room that talk for a while, or one that talks to whoever is in a room
// of others; then what came of it. Owned by a run; its thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/call/endpoint.h"
#include "tools/call/record.h"

namespace turnpike::call {

class Call final : private Endpoint::Owner {
 public:
  enum class State : std::uint8_t { kSettingUp, kTalking, kDraining, kReleasing, kOver };
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_call_arrival(std::uint64_t delay_ns) = 0;
    virtual void on_call_over() = 0;
  };
  struct Place {
    unsigned number = 1;
    std::string room;
    bool guest = false;  // one endpoint
    std::uint32_t flow = 0;
    // Of a call that is set up again.
    unsigned redials = 0;                   // all of them
    unsigned in_a_row = 0;                  // since it last talked
    MonoTime talk_end = MonoTime::never();  // of its first talk; never: it has not talked yet
  };

  Call(const Services& services, Owner& owner, Place place);
  ~Call() override;

  void start(const Desk::Pass& pass);
  void refuse(const std::string& cause) { fail(cause); }
  // Before its time, as a success when it talks.
  void hang_up();

  unsigned number() const { return place_.number; }
  const Place& place() const { return place_; }
  // Over, and for a cause that may be gone another time: not for what was wrong with its media.
  bool is_worth_redialling() const { return state_ == State::kOver && was_cut_; }
  State state() const { return state_; }
  // What is there now; whole when the call is over.
  CallRecord record() const;
  std::uint64_t sent() const;
  std::uint64_t received() const;
  std::uint64_t take_recent_late_ns();

 private:
  // Late packets are waited for, so that they are not counted as lost.
  static constexpr milliseconds kDrain{500};
  static constexpr seconds kWatch{1};
  static constexpr seconds kShortestTalk{2};                     // after it was set up again
  static constexpr std::uint64_t kSilence = 5'000'000'000;       // media has stopped
  static constexpr std::uint64_t kShortSilence = 1'500'000'000;  // at the end of a call

  void on_joined(std::uint32_t side) override;
  void on_connected(std::uint32_t side) override;
  void on_first_media(std::uint32_t side) override;
  void on_arrival(std::uint32_t side, Kind kind, std::uint64_t delay_ns) override;
  void on_partner_left(std::uint32_t side) override;
  void on_failed(std::uint32_t side, const std::string& cause) override;

  void on_alarm();
  void begin_talking();
  void stop_talking();
  void judge();
  bool is_silent(std::uint64_t limit) const;
  void release();
  void fail(const std::string& cause);
  void condemn(const std::string& cause);  // for good
  void keep_records();
  StreamRecord stream_to(std::uint32_t side, Kind kind) const;

  const Services& services_;
  Owner& owner_;
  Place place_;
  Desk::Pass pass_;
  State state_ = State::kSettingUp;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  CallRecord kept_;
  bool was_cut_ = false;
  MonoTime deadline_ = MonoTime::never();  // of the set-up, the talk, or the drain
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  Alarm alarm_;
};

}  // namespace turnpike::call
