// Runtime's part of `turnpike ctl audit`: brings everybody to a standstill, and counts what belongs
// to no worker.
#include <uv.h>

#include "server/runtime.h"

namespace turnpike::server {
namespace {

// A worker walks some millions of entries in this time; one that needs longer is stuck.
constexpr Duration kPatience = seconds(1);

void add(turn::Server::Audit& sum, const turn::Server::Audit& more) {
  sum.allocations += more.allocations;
  sum.permissions += more.permissions;
  sum.channels += more.channels;
  sum.data_connections += more.data_connections;
  sum.reservations += more.reservations;
  sum.arriving_paths += more.arriving_paths;
  sum.forwards += more.forwards;
  sum.revoked_names += more.revoked_names;
}

}  // namespace

std::optional<AuditReport> Runtime::audit(std::size_t callers) {
  // Others would wait for it in vain.
  if (pulse_->stuck() > 0) return std::nullopt;
  const auto meeting = std::make_shared<Standstill<WorkerAccount>>(workers_.size());
  const std::uint64_t before = uv_hrtime();
  auto accounts =
      shares_main_loop() ? std::optional(std::vector<WorkerAccount>{}) : gather(meeting);
  if (shares_main_loop()) accounts->push_back(workers_.front()->account());
  std::optional<SharedAccount> shared;
  if (accounts) shared = shared_account(callers);
  meeting->let_go();
  if (!accounts) return std::nullopt;
  AuditReport report;
  report.standstill = Duration(static_cast<std::int64_t>(uv_hrtime() - before));
  report.findings = server::judge(*shared, *accounts);
  for (const WorkerAccount& account : *accounts) {
    add(report.counts, account.relay.counts);
    report.connections += account.connections;
    report.sessions += account.sessions;
  }
  report.descriptors = shared->open.total();
  report.quota = shared->booked.total;
  return report;
}

std::optional<std::vector<WorkerAccount>> Runtime::gather(
    const std::shared_ptr<Standstill<WorkerAccount>>& meeting) {
  for (const auto& worker : workers_) {
    if (!worker->post(AuditOrder{meeting})) return std::nullopt;
  }
  return meeting->wait(kPatience);
}

SharedAccount Runtime::shared_account(std::size_t callers) {
  SharedAccount account;
  account.booked = quota_.ledger();
  account.live = relays_.list();
  if (tcp_relays_) account.live_tcp = tcp_relays_->list();
  account.reserved = reservations_.list();
  account.findings = service_->examine();
  hub_->audit(account.findings);
  account.own = own_descriptors(callers);
  account.other_at_start = other_at_start_;
  if (auto open = count_descriptors()) {
    account.open = *open;
  } else {
    account.findings.add(open.error().message);
  }
  return account;
}

Descriptors Runtime::own_descriptors(std::size_t callers) {
  Descriptors own;
  if (metrics_) own = metrics_->descriptors();
  if (echo_) own.datagram += echo_->sockets().size();
  own.connected += hub_->connections();
  if (hook_) own.connected += hook_->connections();
  for (const auto& worker : workers_) own.connected += worker->arrivals();
  own.local += local_at_start_ + callers;
  own.other = other_at_start_ + hub_->open_files();
  // The log's file may not have been there to be opened at the start.
  if (!plan_.config.logging.file.empty()) ++own.other;
  return own;
}

// Loops, signals, logs and listeners for operators are all there by now, and stay.
void Runtime::remember_descriptors() {
  const auto open = count_descriptors();
  if (!open) return;
  std::size_t spare = metrics_ ? metrics_->descriptors().local : 0;
  for (const auto& worker : workers_) spare += worker->account().descriptors.local;
  other_at_start_ = open->other;
  local_at_start_ = open->local - spare;
}

}  // namespace turnpike::server
