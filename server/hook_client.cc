#include "server/hook_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "base/log.h"

namespace turnpike::server {

using signaling::http::ReceivedResponse;

namespace {

std::string head_of(const HookClient::Settings& settings) {
  std::string head = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Turnpike\r\nContent-Type: application/json\r\n"
      "Accept: application/json\r\n",
      settings.url.target, settings.url.host_header());
  if (!settings.token.empty()) head += "Authorization: Bearer " + settings.token + "\r\n";
  return head + "Content-Length: ";
}

HookAnswer failed(std::string why) {
  HookAnswer answer;
  answer.failure = std::move(why);
  return answer;
}

}  // namespace

HookClient::HookClient(net::Loop& loop, Settings settings, Settled settled)
    : loop_(loop),
      settings_(std::move(settings)),
      settled_(std::move(settled)),
      head_(head_of(settings_)),
      timer_(loop_, [this] { on_time(); }),
      mail_arrived_(loop_, [this] { on_mail(); }),
      mailbox_(kMailboxCapacity, [this] { mail_arrived_.wake(); }) {}

HookClient::~HookClient() { wipe(head_); }

void HookClient::shut_down() {
  stopped_ = true;
  connections_.clear();
  waiting_.clear();
  resolver_.reset();
  timer_.arm(MonoTime::never());
}

void HookClient::on_mail() {
  const MonoTime deadline = loop_.tick().mono + settings_.timeout;
  for (HookQuestion& question : mailbox_.take_all()) {
    if (!stopped_) waiting_.push_back({std::move(question), deadline, 0});
  }
  work();
}

// Questions on their way as far as there are connections for them.
void HookClient::work() {
  while (!waiting_.empty() && !stopped_) {
    HookConnection* connection = idle_connection();
    if (connection == nullptr && connections_.size() < kMaxConnections) {
      if (!has_addresses()) break;
      connection = open_connection();
      if (connection == nullptr) {
        HookErrand errand = std::move(waiting_.front());
        waiting_.pop_front();
        try_again(std::move(errand), "no connection can be opened");
        continue;
      }
    }
    if (connection == nullptr) break;
    HookErrand errand = std::move(waiting_.front());
    waiting_.pop_front();
    std::string text = request(errand.question);
    connection->ask(std::move(errand), text);
    wipe(text);
  }
  arm();
}

std::string HookClient::request(const HookQuestion& question) const {
  std::string text;
  text.reserve(head_.size() + question.body.size() + 32);
  text.append(head_).append(std::to_string(question.body.size()));
  return text.append("\r\n\r\n").append(question.body);
}

bool HookClient::has_addresses() {
  if (const auto ip = IpAddress::parse(settings_.url.host)) {
    addresses_ = {*ip};
    return true;
  }
  if (!addresses_.empty() && loop_.tick().mono < resolved_until_) return true;
  if (resolver_ == nullptr) {
    resolver_ = std::make_unique<net::Resolver>(
        loop_, settings_.url.host,
        [this](Expected<std::vector<IpAddress>> addresses) { on_resolved(std::move(addresses)); });
  }
  return false;
}

void HookClient::on_resolved(Expected<std::vector<IpAddress>> addresses) {
  resolver_.reset();
  if (addresses) {
    addresses_ = std::move(*addresses);
    next_address_ = 0;
    resolved_until_ = loop_.tick().mono + kResolvedTime;
    return work();
  }
  for (const HookErrand& errand : std::exchange(waiting_, {})) {
    settle(errand, failed(addresses.error().message));
  }
  arm();
}

HookConnection* HookClient::idle_connection() {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [](const auto& connection) { return connection->idle(); });
  return found == connections_.end() ? nullptr : found->get();
}

HookConnection* HookClient::open_connection() {
  const IpAddress ip = addresses_[next_address_ % addresses_.size()];
  HookConnection::Owner& owner = *this;
  auto connection = std::make_unique<HookConnection>(
      owner, HookConnection::Wish{loop_,
                                  {ip, settings_.url.port},
                                  settings_.url.tls ? settings_.tls.get() : nullptr,
                                  settings_.url.host});
  if (!connection->connect()) {
    ++next_address_;
    return nullptr;
  }
  connections_.push_back(std::move(connection));
  return connections_.back().get();
}

void HookClient::on_answer(HookConnection& connection, ReceivedResponse response) {
  const HookErrand errand = connection.take_errand();
  HookAnswer answer = read_hook_answer(response.status, response.body, errand.question.username,
                                       settings_.realm, loop_.tick().wall);
  wipe(response.body);
  if (connection.idle()) {
    connection.set_idle_until(loop_.tick().mono + kIdleTime);
  } else {
    drop(connection);
  }
  settle(errand, std::move(answer));
  work();
}

// A connection that the service has closed while the question was on its way says nothing about
// the service: the question is asked again. (RFC 9110 section 9.2.2 allows that where, as here,
// asking changes nothing.)
void HookClient::on_failure(HookConnection& connection, When when, std::string why) {
  std::optional<HookErrand> errand;
  if (connection.busy()) errand = connection.take_errand();
  drop(connection);
  if (when == When::kConnecting) ++next_address_;
  if (errand && when != When::kLater) {
    try_again(std::move(*errand), std::move(why));
  } else if (errand) {
    settle(*errand, failed(std::move(why)));
  }
  work();
}

void HookClient::try_again(HookErrand errand, std::string why) {
  if (++errand.attempts >= kMaxAttempts) return settle(errand, failed(std::move(why)));
  waiting_.push_front(std::move(errand));
}

void HookClient::on_time() {
  const MonoTime now = loop_.tick().mono;
  const auto late = [this] {
    return failed(fmt::format("no answer within {} s", settings_.timeout.count()));
  };
  while (!waiting_.empty() && waiting_.front().deadline <= now) {
    const HookErrand errand = std::move(waiting_.front());
    waiting_.pop_front();
    settle(errand, late());
  }
  for (std::size_t i = 0; i < connections_.size();) {
    HookConnection& connection = *connections_[i];
    if (connection.deadline() > now) {
      ++i;
      continue;
    }
    std::optional<HookErrand> errand;
    if (connection.busy()) errand = connection.take_errand();
    drop(connection);
    if (errand) settle(*errand, late());
  }
  work();
}

void HookClient::drop(HookConnection& connection) {
  std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
}

void HookClient::arm() {
  MonoTime next = waiting_.empty() ? MonoTime::never() : waiting_.front().deadline;
  for (const auto& connection : connections_) next = std::min(next, connection->deadline());
  timer_.arm(next);
}

void HookClient::settle(const HookErrand& errand, HookAnswer answer) {
  if (answer.kind == HookAnswer::Kind::kFailed) {
    complain(answer.failure);
  } else if (std::exchange(complained_, false)) {
    log::info("--auth-hook: the service answers again");
  }
  settled_(errand.question.username, answer);
}

void HookClient::complain(const std::string& why) {
  ++failures_;
  const MonoTime now = loop_.tick().mono;
  if (now < quiet_until_) return;
  quiet_until_ = now + kComplaintPause;
  complained_ = true;
  log::warning(
      "--auth-hook: {} ({} questions failed); users whom it has named before go on for a "
      "while",
      why, std::exchange(failures_, 0));
}

}  // namespace turnpike::server
