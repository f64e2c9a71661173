// signaling::Service: the product's signaling as one state machine: pages, the credential API,
// rooms, and every dialect that is spoken on our ports (the table of paths is in
// docs/signaling.md). Its carrier is given the bytes. Single thread (the hub loop's, or the only
// loop's).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/findings.h"
#include "base/random.h"
#include "base/time.h"
#include "signaling/carrier.h"
#include "signaling/health.h"
#include "signaling/settings.h"

namespace turnpike::signaling {

class Service {
 public:
  // A member left for good: its relay allocations end, its credentials are refused until then.
  using Revoke = std::function<void(std::string_view name, WallTime until)>;

  Service(Settings settings, Random& random, Revoke revoke);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  Carrier& carrier();
  // Until it is told, all is well. Called for each /healthz and /readyz.
  void judge_health_by(HealthCheck check);

  // What the relay would say of a user name and password now: "good", "expired", "wrong-password",
  // "unknown-user", or "elsewhere" where that is not decided here. For the connection test, and
  // told to holders of a key, an invitation or a room token alone. Until it is given: always the
  // last.
  using CredentialJudge = std::function<std::string_view(std::string_view username,
                                                         std::string_view password, WallTime now)>;
  void judge_credentials_by(CredentialJudge judge);

  // Paths that somebody else answers, asked before ours: true when it has answered.
  using Annex = std::function<bool(Tick now, ConnectionHandle connection, const Visit& visit)>;
  void add_annex(Annex annex);

  // For the start-up lines and the command line: an iceServers list and the path of a room link
  // with an invitation in its fragment.
  std::string example_ice_servers(WallTime now) const;  // JSON, indented
  std::string room_link(std::string_view room, WallTime now) const;

  // Another configuration: secret, older secrets, keys, room tokens and URLs are taken from it, the
  // rest stays.
  void renew(Settings settings);
  // Nobody new is let in: no room is joined, no credential minted. Members are told, and stay.
  // `left`: until they are cut off; nullopt: they are not.
  void drain(std::optional<seconds> left);

  // --- for operators ---
  struct MemberReport {
    std::string id;
    std::string name;
    std::string credential;  // the name that its relay allocations count for; empty: none
    bool away = false;
  };
  struct RoomReport {
    std::string name;
    std::vector<MemberReport> members;
  };
  // At most so many, of those that are named or of all.
  std::vector<RoomReport> rooms(std::size_t limit,
                                std::optional<std::string_view> named = {}) const;
  // Removes a member of whatever room as soon as there is time. False: there is none of this id.
  bool kick(std::string_view member);
  // {"iceServers":[...],"ttl":60}, JSON.
  std::string credentials(std::string_view name, seconds ttl, WallTime now) const;

  struct Audit {
    std::size_t connections = 0;
    std::size_t rooms = 0;
    std::size_t members = 0;
  };
  // Clients of all protocols, by walking: WebSockets, Engine.IO's polling sessions, members who may
  // come back.
  std::size_t conversations() const;
  Audit audit() const;
  // What disagrees in the tables of rooms, members and connections. Walks them all.
  Findings examine() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace turnpike::signaling
