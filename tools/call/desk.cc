#include "tools/call/desk.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace turnpike::call {
namespace {

using nlohmann::json;

constexpr int kOk = 200, kCreated = 201, kUnauthorized = 401, kTooManyFailures = 429;

Expected<json> parse_answer(const HttpAnswer& answer) {
  if (answer.status == 0) return failure("server not reached: " + answer.body);
  json body = json::parse(answer.body, nullptr, false);
  if (answer.status == kOk || answer.status == kCreated) {
    if (body.is_object()) return body;
    return failure("the server's answer is no JSON");
  }
  const bool named = body.is_object() && body.contains("error") && body["error"].is_string();
  const std::string word = named ? " " + body["error"].get<std::string>() : "";
  const bool key = answer.status == kUnauthorized || answer.status == kTooManyFailures;
  return failure((key ? "key refused: " : "server refuses: ") + std::to_string(answer.status) +
                 word);
}

}  // namespace

Expected<std::string> parse_invitation(const HttpAnswer& answer) {
  const auto body = parse_answer(answer);
  if (!body) return unexpected(body.error());
  const auto found = body->find("invitation");
  if (found == body->end() || !found->is_string()) return failure("the answer has no invitation");
  return found->get<std::string>();
}

Expected<std::vector<IceServer>> parse_credentials(const HttpAnswer& answer) {
  const auto body = parse_answer(answer);
  if (!body) return unexpected(body.error());
  const auto found = body->find("iceServers");
  auto servers = found == body->end() ? std::vector<IceServer>{} : parse_ice_servers(found->dump());
  if (servers.empty()) return failure("the answer has no iceServers");
  return servers;
}

void Desk::ask(const std::string& room, Done done) {
  if (waiting_.empty()) services_.loop.later([this] { send_all(); });
  waiting_.push_back({room, std::move(done)});
}

void Desk::send_all() {
  std::vector<Waiting> all = std::exchange(waiting_, {});
  const Options& options = services_.options;
  if (options.key.empty() || !refusal_.empty()) {
    const Expected<Pass> pass = refusal_.empty() ? Expected<Pass>(Pass{options.invitation, {}})
                                                 : Expected<Pass>(failure(refusal_));
    for (const Waiting& one : all) one.done(pass);
    return;
  }
  // Credentials are made for one call each: a quota counts by name.
  const std::size_t at_once = options.dialect == Dialect::kNative ? kMaxRooms : 1;
  for (std::size_t at = 0; at < all.size(); at += at_once) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(at);
    const auto size = static_cast<std::ptrdiff_t>(std::min(at_once, all.size() - at));
    send({std::make_move_iterator(first), std::make_move_iterator(first + size)});
  }
}

void Desk::send(std::vector<Waiting> waiting) {
  HttpRequest::Wish wish{.method = "GET", .path = "/api/ice", .key = services_.options.key};
  if (services_.options.dialect == Dialect::kNative) {
    json rooms = json::array();
    for (const Waiting& one : waiting) rooms.push_back(one.room);
    wish.method = "POST";
    wish.path = "/api/invitations";
    wish.body = json{{"rooms", std::move(rooms)}, {"ttl", 3600}}.dump();
  }
  auto request = std::make_unique<HttpRequest>(
      services_.loop,
      [this, waiting = std::move(waiting), at = requests_.size()](const auto& answer) {
        on_answer(waiting, answer);
        services_.loop.later([this, at] { requests_[at].reset(); });
      });
  HttpRequest& sent = *request;
  requests_.push_back(std::move(request));
  sent.send_to(services_.web, wish);
}

void Desk::on_answer(const std::vector<Waiting>& waiting, const HttpAnswer& answer) {
  Expected<Pass> pass = Pass{};
  if (services_.options.dialect == Dialect::kNative) {
    const auto invitation = parse_invitation(answer);
    if (invitation) {
      pass->invitation = *invitation;
    } else {
      pass = unexpected(invitation.error());
    }
  } else {
    auto servers = parse_credentials(answer);
    if (servers) {
      pass->servers = std::move(*servers);
    } else {
      pass = unexpected(servers.error());
    }
  }
  if (answer.status == kUnauthorized) refusal_ = pass.error().message;
  for (const Waiting& one : waiting) one.done(pass);
}

}  // namespace turnpike::call
