#include "server/administration.h"

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "server/option_values.h"
#include "server/options.h"

namespace turnpike::server {

using nlohmann::json;

namespace {

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string info(Runtime& runtime, const LifeCycle& life) {
  const Live live = runtime.live();
  const auto audit = runtime.service().audit();
  json body = {{"version", version()},
               {"started", runtime.started().since_epoch.count()},
               {"uptime_seconds", runtime.uptime().count()},
               {"workers", life.plan().workers},
               {"draining", life.draining()},
               {"allocations", live.allocations},
               {"signaling_clients", live.conversations},
               {"rooms", audit.rooms},
               {"members", audit.members}};
  if (const auto& certificates = life.plan().certificates()) {
    body["certificate_expires"] = certificates->expires().since_epoch.count();
  }
  return text_of(body);
}

std::string rooms(const signaling::Service& service, std::size_t limit) {
  const auto reports = service.rooms(limit + 1);
  json list = json::array();
  for (std::size_t i = 0; i < reports.size() && i < limit; ++i) {
    json members = json::array();
    for (const auto& member : reports[i].members) {
      members.push_back({{"id", member.id}, {"name", member.name}, {"away", member.away}});
    }
    list.push_back({{"room", reports[i].name}, {"members", std::move(members)}});
  }
  return text_of({{"rooms", std::move(list)}, {"more", reports.size() > limit}});
}

std::optional<std::string> audit(Runtime& runtime, std::size_t callers) {
  const auto report = runtime.audit(callers);
  if (!report) return std::nullopt;
  const auto signaling = runtime.service().audit();
  const auto& found = report->findings;
  return text_of({{"findings", found.sentences()},
                  {"more", found.count() - found.sentences().size()},
                  {"allocations", report->counts.allocations},
                  {"permissions", report->counts.permissions},
                  {"channels", report->counts.channels},
                  {"data_connections", report->counts.data_connections},
                  {"reservations", report->counts.reservations},
                  {"quota", report->quota},
                  {"turn_connections", report->connections},
                  {"dtls_sessions", report->sessions},
                  {"web_connections", signaling.connections},
                  {"rooms", signaling.rooms},
                  {"members", signaling.members},
                  {"descriptors", report->descriptors},
                  {"standstill_us", report->standstill.count() / 1000}});
}

std::optional<std::vector<std::string>> names_in(const signaling::Service& service,
                                                 std::string_view room) {
  const auto reports = service.rooms(1, room);
  if (reports.empty()) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& member : reports.front().members) {
    if (!member.credential.empty()) names.push_back(member.credential);
  }
  return names;
}

bool change_log_level(std::string_view name) {
  Config wish;
  if (!set_log_level(wish, name)) return false;
  log::set_level(wish.logging.level);
  return true;
}

}  // namespace

Expected<std::unique_ptr<net::UnixListener>> open_admin_socket(const Config& config) {
  if (!config.admin_socket.empty()) return net::UnixListener::bind(config.admin_socket);
  const char* const folders = std::getenv("RUNTIME_DIRECTORY");
  if (folders == nullptr || *folders == '\0') return nullptr;
  const std::string_view first =
      std::string_view(folders).substr(0, std::string_view(folders).find(':'));
  auto listener = net::UnixListener::bind(std::string(first) + "/turnpike.sock");
  if (listener) return listener;
  log::warning("no turnpike ctl: {}", listener.error().message);
  return nullptr;
}

AdminPort::Hooks admin_hooks(Runtime& runtime, LifeCycle& life) {
  AdminPort::Hooks hooks;
  hooks.info = [&] { return info(runtime, life); };
  hooks.rooms = [&runtime](std::size_t limit) { return rooms(runtime.service(), limit); };
  hooks.audit = [&runtime](std::size_t callers) { return audit(runtime, callers); };
  hooks.names_in_room = [&runtime](std::string_view room) {
    return names_in(runtime.service(), room);
  };
  hooks.ask_sessions = [&runtime](const SessionWish& wish, std::uint64_t question,
                                  const AdminPort::Reply& reply) {
    return runtime.ask_sessions(wish, [question, reply](SessionPage page) {
      reply({question, std::move(page), false});
    });
  };
  hooks.ask_kick = [&runtime](const SessionId& id, std::uint64_t question,
                              const AdminPort::Reply& reply) {
    return runtime.ask_kick(id, [question, reply](bool ended) {
      reply({question, SessionPage{}, ended});
    });
  };
  hooks.kick_member = [&runtime](std::string_view member) {
    return runtime.signaling().kick(member);
  };
  hooks.drain = [&life] { life.drain(); };
  hooks.reload = [&life]() -> Expected<std::string> {
    if (auto done = life.reload(); !done) return unexpected(std::move(done.error()));
    return text_of({{"reloaded", true}, {"need_restart", life.need_restart()}});
  };
  hooks.set_log_level = change_log_level;
  hooks.credentials = [&runtime](std::string_view name, seconds ttl) {
    return runtime.service().credentials(name, ttl, runtime.main_loop().tick().wall);
  };
  return hooks;
}

}  // namespace turnpike::server
