#include <utility>

#include "signaling/carrier_core.h"
#include "signaling/forwarded.h"
#include "signaling/response.h"

namespace turnpike::signaling {

using http::Method;
using http::Request;
using http::RequestParser;
using http::Response;

namespace {

// A held request may wait for long: only what its answer depends on is kept.
void trim(Request& request) {
  std::erase_if(request.headers, [](const http::Header& one) { return one.name != "origin"; });
  request.headers.shrink_to_fit();
  std::string().swap(request.target);
  std::string().swap(request.body);
}

}  // namespace

// Answers how many bytes it took: to the end of one request, or all.
std::size_t Carrier::Core::on_http(ConnectionHandle handle, Connection& connection,
                                   ByteView bytes) {
  if (connection.parser == nullptr) {
    // Whoever asks on and on without reading the answers is cut.
    if (connection.queued > kMaxQueuedBytes) write(handle, connection, {});
    if (connection.queued > kMaxQueuedBytes) {
      doom(handle, connection);
      return bytes.size();
    }
    connection.parser = std::make_unique<RequestParser>(&routes_);
    if (connection.served) arm(connection, kRequestDeadline);
  }
  RequestParser& parser = *connection.parser;
  const std::size_t used = parser.feed(bytes);
  switch (parser.state()) {
    case RequestParser::State::kNeedsMore:
      if (parser.take_expectation()) {
        write(handle, connection, as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
      }
      break;
    case RequestParser::State::kFailed:
      answer(handle, connection, nullptr, http::text_response(parser.failure(), "bad request\n"));
      break;
    case RequestParser::State::kComplete: {
      Request request = parser.take();
      connection.parser.reset();
      on_request(handle, connection, std::move(request));
    }
  }
  return used;
}

// Nobody erases a connection before the outermost call ends, so it is still there afterwards.
void Carrier::Core::on_request(ConnectionHandle handle, Connection& connection, Request request) {
  connection.phase = Connection::Phase::kAnswering;
  connection.timer.disarm();
  connection.exchange = std::make_unique<Exchange>();
  Exchange& exchange = *connection.exchange;
  exchange.request = std::move(request);
  const Caller caller = caller_of({connection.remote, connection.secure}, exchange.request,
                                  settings_.trusted_proxies);
  routes_.on_request(now_, handle,
                     Visit{caller.source, caller.secure, exchange.request, connection.tls});
  if (exchange.stage == Exchange::Stage::kHandling) {
    respond(handle, http::text_response(500, "the server has no answer to this\n"));
  }
  exchange.in_call = false;
  if (exchange.stage == Exchange::Stage::kAnswered) return connection.exchange.reset();
  if (exchange.stage == Exchange::Stage::kHeld) trim(exchange.request);
}

void Carrier::Core::on_pipelined(ConnectionHandle handle, Connection& connection, ByteView bytes) {
  std::string& pipelined = connection.exchange->pipelined;
  if (bytes.size() > kMaxPipelined - pipelined.size()) return doom(handle, connection);
  pipelined.append(as_text(bytes));
}

void Carrier::Core::on_request_timeout(ConnectionHandle handle, Connection& connection) {
  if (connection.parser == nullptr || connection.parser->untouched()) {
    return doom(handle, connection);
  }
  answer(handle, connection, nullptr, http::text_response(408, "the request took too long\n"));
}

Exchange* Carrier::Core::open_exchange(Connection* connection) {
  if (connection == nullptr || connection->exchange == nullptr) return nullptr;
  Exchange* exchange = connection->exchange.get();
  return exchange->stage == Exchange::Stage::kAnswered ? nullptr : exchange;
}

void Carrier::Core::respond(ConnectionHandle handle, const Response& response) {
  Connection* connection = connections_.find(handle);
  Exchange* exchange = open_exchange(connection);
  if (exchange == nullptr) return;
  exchange->stage = Exchange::Stage::kAnswered;
  connection->endpoint = nullptr;
  answer(handle, *connection, &exchange->request, response);
  if (exchange->in_call) return;
  const std::unique_ptr<Exchange> done = std::move(connection->exchange);
  if (connection->phase == Connection::Phase::kReading && !done->pipelined.empty()) {
    pipelined_.push_back({handle, std::move(done->pipelined)});
  }
  recount(*connection);
}

void Carrier::Core::answer(ConnectionHandle handle, Connection& connection, const Request* request,
                           const Response& response) {
  std::string head = http::serialise_head(response, request, now_.wall);
  const bool headless = request != nullptr && request->method == Method::kHead;
  write(handle, connection, head, headless ? ByteView{} : response.content());
  connection.served = true;
  if (http::goes_on(response, request)) {
    connection.phase = Connection::Phase::kReading;
    arm(connection, kIdleTime);
  } else if (request != nullptr && !response.close) {
    doom(handle, connection);  // as the client wished, and nothing more is coming
  } else {
    linger(connection);
  }
}

void Carrier::Core::hold(ConnectionHandle handle, Endpoint& endpoint, Endpoint::Tag tag) {
  Connection* connection = connections_.find(handle);
  Exchange* exchange = open_exchange(connection);
  if (exchange == nullptr || exchange->stage != Exchange::Stage::kHandling) return;
  exchange->stage = Exchange::Stage::kHeld;
  connection->endpoint = &endpoint;
  connection->tag = tag;
}

void Carrier::Core::begin_stream(ConnectionHandle handle, const Response& head, Endpoint& endpoint,
                                 Endpoint::Tag tag) {
  Connection* connection = connections_.find(handle);
  Exchange* exchange = open_exchange(connection);
  if (exchange == nullptr || exchange->stage != Exchange::Stage::kHandling) return;
  Response begun = head;
  begun.unending = true;
  write(handle, *connection, as_bytes(http::serialise_head(begun, &exchange->request, now_.wall)));
  exchange->stage = Exchange::Stage::kAnswered;
  connection->phase = Connection::Phase::kStreaming;
  connection->endpoint = &endpoint;
  connection->tag = tag;
}

std::size_t Carrier::Core::stream(ConnectionHandle handle, std::string_view bytes) {
  Connection* connection = connections_.find(handle);
  if (connection == nullptr || connection->phase != Connection::Phase::kStreaming) return 0;
  write(handle, *connection, as_bytes(bytes));
  if (connection->queued > kMaxQueuedBytes) doom(handle, *connection);
  return connection->queued;
}

void Carrier::Core::ask_for_file(ConnectionHandle handle, Folder folder, std::string_view path) {
  Connection* connection = connections_.find(handle);
  Exchange* exchange = open_exchange(connection);
  if (exchange == nullptr || exchange->stage != Exchange::Stage::kHandling) return;
  exchange->stage = Exchange::Stage::kFile;
  arm(*connection, kFileDeadline);
  outlet_->read_file(handle, folder, path);  // may call on_file before it returns
}

void Carrier::Core::file_arrived(Tick now, ConnectionHandle handle, const FileAnswer& file,
                                 Outlet& outlet) {
  const Call call(*this, now, outlet);
  Connection* connection = connections_.find(handle);
  if (connection == nullptr || connection->doomed) return;
  Exchange* exchange = open_exchange(connection);
  if (exchange == nullptr || exchange->stage != Exchange::Stage::kFile) return;
  respond(handle, routes_.on_file(exchange->request, file));
}

}  // namespace turnpike::signaling
