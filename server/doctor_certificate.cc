#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/openssl_owners.h"
#include "server/check_config.h"
#include "server/doctor.h"
#include "server/doctor_socket.h"

namespace turnpike::server {
namespace {

using State = Diagnosis::State;

constexpr std::string_view kCheck = "certificate";

using Context = std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, OpensslFree<SSL_free>>;
using Store = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using Check = std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>>;
using Certificate = X509Owner;

State state_of(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::kGood:
      return State::kGood;
    case Finding::Kind::kNote:
      return State::kNote;
    case Finding::Kind::kWarning:
      return State::kWarning;
    case Finding::Kind::kError:
      return State::kProblem;
  }
  return State::kNote;
}

// Which one is meant, where there are several.
std::string subject(const Plan& plan, std::size_t certificate) {
  const auto& files = plan.config.certificate_files;
  return files.size() == 1 ? "" : fmt::format("--cert {}: ", files[certificate]);
}

// With the authorities that this machine knows, which are nearly those of browsers.
Diagnosis examine_trust(const Plan& plan, std::size_t certificate) {
  SSL_CTX* context = plan.certificates()->certificates()[certificate].context.get();
  X509* leaf = SSL_CTX_get0_certificate(context);
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  const Store store(X509_STORE_new());
  const Check check(X509_STORE_CTX_new());
  if (!store || !check || X509_STORE_set_default_paths(store.get()) != 1 ||
      X509_STORE_CTX_init(check.get(), store.get(), leaf, chain) != 1) {
    return {State::kNote, kCheck, "the authorities of this machine cannot be read",
            "apt install ca-certificates"};
  }
  X509_STORE_CTX_set_purpose(check.get(), X509_PURPOSE_SSL_SERVER);
  if (X509_verify_cert(check.get()) == 1) {
    return {State::kGood, kCheck,
            subject(plan, certificate) + "the chain leads to an authority that this machine trusts",
            ""};
  }
  const int error = X509_STORE_CTX_get_error(check.get());
  const bool incomplete =
      error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY && sk_X509_num(chain) <= 0;
  return {State::kWarning, kCheck,
          fmt::format("{}this machine does not trust it, and browsers probably do not either: {}",
                      subject(plan, certificate), X509_verify_cert_error_string(error)),
          incomplete ? "--cert with the file that has the whole chain (fullchain.pem)"
                     : "a certificate of a public authority, or its root on every client"};
}

Diagnosis examine_names(const Plan& plan) {
  if (!plan.tls) {
    return {State::kNote, kCheck,
            "it is for DTLS alone: no turns: URL, and browsers give cameras to https pages only",
            "without --no-tls it would be for TLS, too"};
  }
  const std::string host = public_host(plan);
  if (certificate_matches(plan)) {
    return {State::kGood, kCheck, fmt::format("it is for {}", host), ""};
  }
  std::string names;
  for (const std::string& name : plan.tls->host_names()) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return {State::kProblem, kCheck,
          fmt::format("it is for {}, not for {}, so that no turns: URL is given away",
                      names.empty() ? "no host name" : names, host),
          names.empty() ? "--public-host with a name, and a certificate for it"
                        : fmt::format("--public-host {}", plan.tls->host_names().front())};
}

// What a server that runs here sends its clients; null when none does.
Certificate served(const Address& address, const std::string& host) {
  const auto socket = connect_as_doctor(as_client_sees(address));
  if (!socket) return nullptr;
  const Context context(SSL_CTX_new(TLS_client_method()));
  const Session session(context ? SSL_new(context.get()) : nullptr);
  if (!session || SSL_set_fd(session.get(), socket->get()) != 1) return nullptr;
  SSL_set_tlsext_host_name(session.get(), host.c_str());
  const bool done = SSL_connect(session.get()) == 1;
  ERR_clear_error();
  return Certificate(done ? SSL_get1_peer_certificate(session.get()) : nullptr);
}

// A name by which clients get this certificate; nullopt when there is none.
std::optional<std::string> name_for(const Plan& plan, std::size_t certificate) {
  const auto leads_there = [&](const std::string& host) {
    return &plan.tls->certificate_for(host) == &plan.tls->certificates()[certificate];
  };
  if (const std::string host = public_host(plan); leads_there(host)) return host;
  for (std::string name : plan.tls->certificates()[certificate].names) {
    if (name.starts_with("*.")) name.replace(0, 1, "turnpike-doctor");
    if (leads_there(name)) return name;
  }
  return std::nullopt;
}

std::optional<Diagnosis> examine_served(const Plan& plan, std::size_t certificate) {
  if (!plan.tls) return std::nullopt;
  const auto port = std::find_if(plan.tcp.begin(), plan.tcp.end(), [](const Plan::TcpPort& one) {
    return one.kind == PortKind::kTlsOnly || one.kind == PortKind::kAny;
  });
  if (port == plan.tcp.end() || port->address.port == 0) return std::nullopt;
  const auto name = name_for(plan, certificate);
  const Certificate now = name ? served(port->address, *name) : nullptr;
  if (!now) return std::nullopt;
  SSL_CTX* context = plan.tls->certificates()[certificate].context.get();
  if (X509_cmp(now.get(), SSL_CTX_get0_certificate(context)) == 0) {
    return Diagnosis{
        State::kGood, kCheck,
        subject(plan, certificate) + "the server that runs here sends this certificate", ""};
  }
  return Diagnosis{
      State::kProblem, kCheck,
      fmt::format("the server on {} sends another certificate than the one in {}",
                  port->address.to_string(), plan.config.certificate_files[certificate]),
      "systemctl reload turnpike"};
}

}  // namespace

Diagnoses examine_certificate(const Plan& plan, WallTime now) {
  Diagnoses found;
  if (!plan.certificates()) {
    found.push_back({State::kNote, kCheck,
                     "there is none: no turns: URL, and browsers give cameras to https pages only",
                     "--cert FILE --pkey FILE --public-host NAME"});
    return found;
  }
  const auto& files = plan.config.certificate_files;
  found.push_back(examine_names(plan));
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (Finding& one : check_certificate(files[i], now)) {
      found.push_back({state_of(one.kind), kCheck, std::move(one.sentence), std::move(one.remedy)});
    }
    found.push_back(examine_trust(plan, i));
    if (auto running = examine_served(plan, i)) found.push_back(std::move(*running));
  }
  return found;
}

}  // namespace turnpike::server
