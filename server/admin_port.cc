#include "server/admin_port.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "server/transport_name.h"
#include "signaling/json_text.h"

namespace turnpike::server {

using nlohmann::json;
using signaling::ConnectionHandle;
using signaling::http::error_json;
using signaling::http::Method;
using signaling::http::query_value;

namespace {

constexpr std::string_view kRoot = "/admin/v1/";
constexpr std::size_t kMaxAnswers = 4096;
constexpr seconds kDefaultTtl{86400};

signaling::http::Response json_response(std::string body, unsigned status = 200) {
  signaling::http::Response response;
  response.status = status;
  response.content_type = "application/json";
  response.no_store = true;
  response.body = std::move(body) + "\n";
  return response;
}

// Names come from clients: what is not UTF-8 in them is replaced.
std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json json_of(const SessionRow& row) {
  json relayed = json::array();
  for (const Address& address : row.relayed) relayed.push_back(address.to_string());
  return {{"id", row.id.to_string()},
          {"user", row.user},
          {"transport", name_of(row.transport)},
          {"client", row.client.to_string()},
          {"relayed", std::move(relayed)},
          {"relays", row.tcp ? "tcp" : "udp"},
          {"bytes_to_peers", row.bytes_to_peers},
          {"bytes_to_client", row.bytes_to_client},
          {"permissions", row.permissions},
          {"channels", row.channels},
          {"seconds_left", row.seconds_left}};
}

// The limit of a listing; nullopt: it is no number from 1 to the most there is.
std::optional<std::size_t> limit_of(const signaling::http::Request& request) {
  const auto text = query_value(request.query(), "limit");
  if (!text) return AdminPort::kDefaultRows;
  const auto number = parse_decimal(*text);
  if (!number || *number == 0 || *number > kMaxSessionRows) return std::nullopt;
  return static_cast<std::size_t>(*number);
}

// An empty object where there is no body; nullopt for anything but an object.
std::optional<json> body_of(const signaling::http::Request& request) {
  if (request.body.empty()) return json::object();
  if (!is_valid_utf8(request.body) || !signaling::is_json(request.body)) return std::nullopt;
  json body = json::parse(request.body, nullptr, false);
  return body.is_object() ? std::optional(std::move(body)) : std::nullopt;
}

signaling::http::Response bad(std::string_view why) { return error_json(400, "bad-request", why); }

signaling::http::Response bad_limit() { return bad("limit is a number from 1 to 1000"); }

}  // namespace

AdminPort::AdminPort(net::Loop& loop, std::unique_ptr<net::UnixListener> listener, Hooks hooks)
    : loop_(loop),
      listener_(std::move(listener)),
      hooks_(std::move(hooks)),
      carrier_({}, *this),
      connections_(carrier_, {loop}),
      answered_(loop, [this] { heard_ = true; }),
      answers_(kMaxAnswers, [this] { answered_.wake(); }) {
  carrier_.add(*this);
}

void AdminPort::start() {
  listener_->start(loop_, [this](int fd) {
    auto stream = net::Stream::accept(loop_, fd, nullptr);
    // No limits of addresses are for whoever comes here.
    stream->set_remote({IpAddress::loopback(Family::kIPv4), 0});
    connections_.take(std::move(stream), {});
  });
}

void AdminPort::on_request(Tick now, ConnectionHandle connection, const signaling::Visit& visit) {
  const Request& request = visit.request;
  const std::string_view path = request.path();
  constexpr std::string_view kAllocations = "/admin/v1/allocations";
  if (path == kAllocations && request.method == Method::kGet) {
    return list(now, connection, request);
  }
  if (path.starts_with("/admin/v1/allocations/") && request.method == Method::kDelete) {
    return kick(now, connection, path.substr(kAllocations.size() + 1));
  }
  carrier_.respond(connection, answer(request));
}

signaling::http::Response AdminPort::answer(const Request& request) {
  const std::string_view path = request.path();
  if (!path.starts_with(kRoot)) return error_json(404, "not-found", "look below /admin/v1/");
  const std::string_view what = path.substr(kRoot.size());
  if (request.method == Method::kPost) return order(what, request);
  constexpr std::string_view kMembers = "members/";
  if (request.method == Method::kDelete && what.starts_with(kMembers)) {
    if (hooks_.kick_member(what.substr(kMembers.size()))) return json_response("{\"ended\":true}");
    return error_json(404, "not-found", "there is no such member");
  }
  if (request.method != Method::kGet) {
    return error_json(405, "method-not-allowed", "this path takes other methods");
  }
  if (what == "info") return json_response(hooks_.info());
  if (what == "audit") {
    auto report = hooks_.audit(connections_.connections());
    return report ? json_response(std::move(*report))
                  : error_json(503, "stuck", "a worker does not answer");
  }
  if (what == "rooms") {
    const auto limit = limit_of(request);
    return limit ? json_response(hooks_.rooms(*limit)) : bad_limit();
  }
  return error_json(404, "not-found", "there is nothing of this name");
}

signaling::http::Response AdminPort::order(std::string_view what, const Request& request) {
  const auto body = body_of(request);
  if (!body) return bad("the body is no JSON object");
  if (what == "drain") {
    hooks_.drain();
    return json_response("{\"draining\":true}");
  }
  if (what == "reload") {
    auto done = hooks_.reload();
    if (!done) return error_json(409, "not-reloaded", done.error().message);
    return json_response(std::move(*done));
  }
  if (what == "loglevel") {
    const auto level = body->find("level");
    const bool set = level != body->end() && level->is_string() &&
                     hooks_.set_log_level(level->get<std::string>());
    return set ? json_response(text_of(*body)) : bad("level is debug, info, warning or error");
  }
  if (what == "credentials") {
    const auto name = body->value("name", json("ctl"));
    const auto ttl = body->value("ttl", json(kDefaultTtl.count()));
    const bool right = name.is_string() && ttl.is_number_unsigned() &&
                       ttl.get<std::uint64_t>() > 0 &&
                       ttl.get<std::uint64_t>() <= static_cast<std::uint64_t>(kDefaultTtl.count());
    if (!right) return bad("name is a text, ttl a number of seconds from 1 to 86400");
    return json_response(
        hooks_.credentials(name.get<std::string>(), seconds(ttl.get<std::int64_t>())));
  }
  return error_json(404, "not-found", "there is nothing of this name");
}

void AdminPort::list(Tick now, ConnectionHandle connection, const Request& request) {
  const auto limit = limit_of(request);
  if (!limit) return carrier_.respond(connection, bad_limit());
  SessionWish wish;
  wish.limit = *limit;
  if (const auto user = query_value(request.query(), "user")) wish.names = {*user};
  if (const auto room = query_value(request.query(), "room")) {
    auto names = hooks_.names_in_room(*room);
    if (!names) {
      return carrier_.respond(connection, error_json(404, "not-found", "there is no such room"));
    }
    if (names->empty()) {
      return carrier_.respond(connection, json_response("{\"allocations\":[],\"next\":null}"));
    }
    wish.names = std::move(*names);
  }
  if (const auto after = query_value(request.query(), "after")) {
    wish.after = SessionId::parse(*after);
    if (!wish.after) return carrier_.respond(connection, bad("after is an id of an allocation"));
  }
  Question question;
  question.limit = *limit;
  const std::uint64_t number = ++last_question_;
  question.waits_for = hooks_.ask_sessions(wish, number, reply());
  wait_for(now, connection, number, std::move(question));
}

void AdminPort::kick(Tick now, ConnectionHandle connection, std::string_view id) {
  const auto named = SessionId::parse(id);
  Question question;
  question.kicks = true;
  const std::uint64_t number = ++last_question_;
  question.waits_for = named ? hooks_.ask_kick(*named, number, reply()) : 0;
  wait_for(now, connection, number, std::move(question));
}

AdminPort::Reply AdminPort::reply() {
  // A full box is an answer that never comes, and the question gives up.
  return [this](Answer one) { (void)answers_.post(std::move(one)); };
}

void AdminPort::wait_for(Tick now, ConnectionHandle connection, std::uint64_t number,
                         Question question) {
  question.connection = connection;
  question.until = now.mono + kPatience;
  if (question.waits_for == 0) return finish(question);
  if (questions_.size() >= kMaxQuestions) {
    return carrier_.respond(connection, error_json(503, "busy", "too many questions at once"));
  }
  questions_.emplace(number, std::move(question));
  carrier_.hold(connection, *this, number);
}

void AdminPort::on_gone(Tick, ConnectionHandle, Tag tag) { questions_.erase(tag); }

MonoTime AdminPort::next_deadline() const {
  if (heard_) return MonoTime();
  MonoTime next = MonoTime::never();
  for (const auto& [number, question] : questions_) next = std::min(next, question.until);
  return next;
}

void AdminPort::on_time(Tick now) {
  heard_ = false;
  for (Answer& one : answers_.take_all()) {
    const auto found = questions_.find(one.question);
    if (found == questions_.end()) continue;
    Question& question = found->second;
    question.pages.push_back(std::move(one.page));
    question.ended = question.ended || one.ended;
    --question.waits_for;
  }
  for (auto next = questions_.begin(); next != questions_.end();) {
    const auto question = next++;
    const bool late = question->second.until <= now.mono;
    if (question->second.waits_for > 0 && !late) continue;
    const Question done = std::move(question->second);
    questions_.erase(question);
    finish(done);
  }
}

void AdminPort::finish(const Question& question) {
  if (question.kicks) {
    return carrier_.respond(question.connection,
                            question.ended
                                ? json_response("{\"ended\":true}")
                                : error_json(404, "not-found", "there is no such allocation"));
  }
  if (question.waits_for > 0) {
    return carrier_.respond(question.connection,
                            error_json(503, "stuck", "a worker does not answer"));
  }
  const SessionPage page = merge(question.pages, question.limit);
  json rows = json::array();
  for (const SessionRow& row : page.rows) rows.push_back(json_of(row));
  json body = {{"allocations", std::move(rows)}, {"next", nullptr}};
  if (page.more) body["next"] = page.rows.back().id.to_string();
  carrier_.respond(question.connection, json_response(text_of(body)));
}

}  // namespace turnpike::server
