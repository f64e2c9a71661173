#include "server/hook_connection.h"

#include <utility>

#include "base/check.h"
#include "base/digest.h"

namespace turnpike::server {

using signaling::http::ReceivedResponse;
using signaling::http::ResponseParser;

bool HookConnection::connect() {
  const Address from{IpAddress::any(wish_.to.ip.family()), 0};
  connector_ =
      net::TcpConnector::start(wish_.loop, from, wish_.to, [this](int fd) { on_connected(fd); });
  return connector_ != nullptr;
}

void HookConnection::on_connected(int fd) {
  if (fd < 0) {
    return fail(Owner::When::kConnecting, "nobody answers at " + wish_.to.to_string());
  }
  connector_.reset();
  stream_ = net::Stream::open(wish_.loop, fd, wish_.tls, wish_.host);
  stream_->start(*this);
  if (request_.empty()) return;
  stream_->write(as_bytes(request_));
  wipe(request_);
  request_.clear();
}

void HookConnection::ask(HookErrand errand, const std::string& request) {
  CHECK(!busy());
  errand_ = std::move(errand);
  parser_.emplace(kMaxAnswer);
  answer_began_ = false;
  if (stream_ == nullptr) {
    request_ = request;
  } else {
    stream_->write(as_bytes(request));
  }
}

HookErrand HookConnection::take_errand() {
  CHECK(busy());
  HookErrand errand = std::move(*errand_);
  errand_.reset();
  return errand;
}

void HookConnection::on_bytes(net::Stream&, ByteView bytes) {
  if (!busy()) return fail(Owner::When::kLater, "it speaks without being asked");
  answer_began_ = true;
  const std::size_t taken = parser_->feed(bytes);
  if (taken < bytes.size()) ended_ = true;  // what else it says is no answer to anything
  if (parser_->state() == ResponseParser::State::kComplete) return finish();
  if (parser_->state() == ResponseParser::State::kFailed) {
    fail(Owner::When::kLater, std::string(parser_->failure()));
  }
}

void HookConnection::finish() {
  ReceivedResponse response = parser_->take();
  parser_.reset();
  used_before_ = true;
  if (!response.keep_alive) ended_ = true;
  owner_.on_answer(*this, std::move(response));
}

void HookConnection::on_end(net::Stream& stream, End end) {
  ended_ = true;
  if (!busy()) return fail(Owner::When::kLater, "");
  if (end == End::kTlsFailed) {
    const std::string_view reason = stream.tls_failure();
    return fail(Owner::When::kLater,
                "TLS failed" + (reason.empty() ? "" : ": " + std::string(reason)));
  }
  if (answer_began_) {
    parser_->on_end();
    if (parser_->state() == ResponseParser::State::kComplete) return finish();
    return fail(Owner::When::kLater, std::string(parser_->failure()));
  }
  fail(used_before_ ? Owner::When::kReused : Owner::When::kLater,
       "it closed the connection without an answer");
}

void HookConnection::fail(Owner::When when, std::string why) {
  ended_ = true;
  owner_.on_failure(*this, when, std::move(why));
}

}  // namespace turnpike::server
