#include "server/stats_desk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"
#include "signaling/assets.h"
#include "signaling/json_text.h"

namespace turnpike::server {

using signaling::ConnectionHandle;
using signaling::http::Method;
using signaling::http::Request;
using signaling::http::text_response;

namespace {

signaling::http::Response only(std::string_view methods) {
  auto response = text_response(405, "not with this method\n");
  response.headers.emplace_back("Allow", methods);
  return response;
}

signaling::http::Response refused(StatsPass::Verdict verdict) {
  if (verdict == StatsPass::Verdict::kTooOften) {
    auto response = text_response(429, "too many wrong tokens\n");
    response.headers.emplace_back("Retry-After", "60");
    return response;
  }
  auto response = text_response(401, "this needs the token of --prometheus-token\n");
  response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

bool reads(const Request& request) {
  return request.method == Method::kGet || request.method == Method::kHead;
}

}  // namespace

StatsDesk::StatsDesk(Parts parts) : parts_(parts) { parts_.carrier.add(*this); }

bool StatsDesk::handles(std::string_view path) {
  return path == "/stats" || path == "/stats/session" || path == "/stats/events";
}

void StatsDesk::on_request(Tick now, ConnectionHandle connection, const signaling::Visit& visit) {
  const Request& request = visit.request;
  signaling::Carrier& carrier = parts_.carrier;
  if (parts_.port == Port::kPublic && !visit.secure && !visit.source.is_loopback()) {
    return carrier.respond(connection, text_response(403, "/stats is for HTTPS only here\n"));
  }
  if (request.path() == "/stats/session") return carrier.respond(connection, session(now, visit));
  if (!reads(request)) return carrier.respond(connection, only("GET, HEAD"));
  if (request.path() == "/stats/events") return listen(now, connection, visit);
  const signaling::Asset* page = signaling::find_asset("stats.html");
  carrier.respond(connection, signaling::asset_response(request, *page));
}

StatsDesk::Response StatsDesk::session(Tick now, const signaling::Visit& visit) {
  const Request& request = visit.request;
  const bool begins = request.method == Method::kPost;
  const bool ends = request.method == Method::kDelete;
  if (!reads(request) && !begins && !ends) return only("GET, HEAD, POST, DELETE");
  Response response;
  response.status = 204;
  response.no_store = true;
  if (ends) {
    response.headers.emplace_back("Set-Cookie", StatsPass::forgotten_cookie());
    return response;
  }
  const auto verdict = parts_.pass.judge(now, visit.source, request);
  if (verdict != StatsPass::Verdict::kWelcome) return refused(verdict);
  if (begins && parts_.pass.asks_for_token()) {
    response.headers.emplace_back("Set-Cookie", parts_.pass.cookie(now.wall, visit.secure));
  }
  return response;
}

void StatsDesk::listen(Tick now, ConnectionHandle connection, const signaling::Visit& visit) {
  const auto verdict = parts_.pass.judge(now, visit.source, visit.request);
  signaling::Carrier& carrier = parts_.carrier;
  if (verdict != StatsPass::Verdict::kWelcome) {
    return carrier.respond(connection, refused(verdict));
  }
  if (listeners_.size() >= kMaxListeners) {
    Response response = text_response(503, "too many look at this already\n");
    response.headers.emplace_back("Retry-After", "60");
    return carrier.respond(connection, response);
  }
  Response head;
  head.content_type = "text/event-stream";
  head.no_store = true;
  // nginx would keep the events to itself until its buffer is full.
  head.headers.emplace_back("X-Accel-Buffering", "no");
  if (visit.request.method == Method::kHead) return carrier.respond(connection, head);
  const std::uint64_t first =
      first_unseen(visit.request.header("last-event-id").value_or(std::string_view()));
  std::string text = "retry: " + std::to_string(kRetry.count()) + "\nevent: hello\ndata: {";
  text += "\"version\":";
  signaling::append_json_string(text, parts_.version);
  text += ",\"interval\":" + std::to_string(History::kInterval.count());
  text += ",\"kept\":" + std::to_string(History::kSamples);
  text += ",\"first\":" + std::to_string(first);
  text += ",\"token\":" + std::string(parts_.pass.asks_for_token() ? "true" : "false");
  text += ",\"names\":" + History::names() + "}\n\n" + rows(first);
  const Tag tag = ++last_tag_;
  Listener& listener = listeners_[tag];
  listener = {connection, parts_.history.end()};
  carrier.begin_stream(connection, head, *this, tag);
  listener.waiting = carrier.stream(connection, text);
}

// "RUN-NUMBER" of the last row that was seen; all that are kept for anything else.
std::uint64_t StatsDesk::first_unseen(std::string_view last_id) const {
  const History& history = parts_.history;
  const std::size_t dash = last_id.rfind('-');
  if (dash == std::string_view::npos || last_id.substr(0, dash) != parts_.run) {
    return history.begin();
  }
  const auto seen = parse_decimal(last_id.substr(dash + 1));
  if (!seen || *seen >= history.end()) return history.begin();
  return std::max(history.begin(), *seen + 1);
}

std::string StatsDesk::rows(std::uint64_t from) const {
  std::string text;
  for (std::uint64_t row = from; row < parts_.history.end(); ++row) {
    text.append("id: ").append(parts_.run).append("-").append(std::to_string(row));
    text.append("\ndata: ").append(parts_.history.row(row)).append("\n\n");
  }
  return text;
}

MonoTime StatsDesk::next_deadline() const {
  return told_ < parts_.history.end() ? MonoTime() : MonoTime::never();
}

void StatsDesk::on_time(Tick) {
  told_ = parts_.history.end();
  for (auto& [tag, listener] : listeners_) {
    if (listener.next >= told_) continue;
    const std::string text = rows(std::max(listener.next, parts_.history.begin()));
    listener.next = told_;
    const std::size_t waiting = parts_.carrier.stream(listener.connection, text);
    const std::size_t before = waiting - std::min(waiting, text.size());
    listener.unread = before > 0 && before >= listener.waiting ? listener.unread + 1 : 0;
    listener.waiting = waiting;
    if (listener.unread >= kMaxUnread) parts_.carrier.drop(listener.connection);
  }
}

}  // namespace turnpike::server
