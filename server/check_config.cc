#include "server/check_config.h"

#include <dirent.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iterator>
#include <memory>
#include <utility>

#include "base/openssl_owners.h"

namespace turnpike::server {
namespace {

using Kind = Finding::Kind;

// The usual tools renew certificates of 90 days when 30 are left.
constexpr std::time_t kSoon = 14 * 86400;
constexpr std::size_t kMaxChain = 16;
constexpr const char* kRenew = "certbot renew, or whatever made it; a running server notices";

using Certificate = X509Owner;

std::vector<Certificate> chain_of(const std::string& file) {
  std::vector<Certificate> chain;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(std::fopen(file.c_str(), "re"),
                                                               &std::fclose);
  while (opened && chain.size() < kMaxChain) {
    Certificate next(PEM_read_X509(opened.get(), nullptr, nullptr, nullptr));
    if (!next) break;
    chain.push_back(std::move(next));
  }
  return chain;
}

std::string name_part(const X509_NAME* name, int part) {
  char text[256] = {};
  const int length = X509_NAME_get_text_by_NID(name, part, text, sizeof text);
  return length > 0 ? std::string(text) : "";
}

std::string name_of(const X509_NAME* name) {
  std::string organization = name_part(name, NID_organizationName);
  std::string common = name_part(name, NID_commonName);
  if (organization.empty() || common.empty()) return organization + common;
  return fmt::format("{}, {}", organization, common);
}

std::time_t to_time(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? ::timegm(&parts) : 0;
}

bool same_name(const X509_NAME* a, const X509_NAME* b) { return X509_NAME_cmp(a, b) == 0; }

void judge_times(std::vector<Finding>& findings, const std::string& file, const X509& leaf,
                 std::time_t now) {
  const std::time_t begin = to_time(X509_get0_notBefore(&leaf));
  const std::time_t end = to_time(X509_get0_notAfter(&leaf));
  const std::string day = fmt::format("{:%Y-%m-%d}", fmt::gmtime(end));
  if (now >= end) {
    findings.push_back(
        {Kind::kError, fmt::format("--cert {} expired on {}: renew it", file, day), kRenew});
  } else if (now < begin) {
    findings.push_back({Kind::kError,
                        fmt::format("--cert {} is valid from {:%Y-%m-%d} only: look at the clock",
                                    file, fmt::gmtime(begin)),
                        "timedatectl set-ntp true"});
  } else if (end - now < kSoon) {
    findings.push_back({Kind::kWarning,
                        fmt::format("--cert {} expires on {}, in {} days: renew it", file, day,
                                    (end - now) / 86400),
                        kRenew});
  } else {
    findings.push_back({Kind::kGood, fmt::format("--cert {} is valid until {}", file, day)});
  }
}

// Who signed the last certificate that clients are sent is who they must know.
void judge_issuer(std::vector<Finding>& findings, const std::string& file,
                  const std::vector<Certificate>& chain) {
  const X509* leaf = chain.front().get();
  if (same_name(X509_get_subject_name(leaf), X509_get_issuer_name(leaf))) {
    findings.push_back(
        {Kind::kWarning,
         fmt::format("--cert {} is signed by itself: clients refuse it unless they were given it",
                     file),
         "certbot certonly, or another way to a certificate of a public authority"});
    return;
  }
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    if (same_name(X509_get_issuer_name(chain[i].get()), X509_get_subject_name(chain[i + 1].get())))
      continue;
    findings.push_back({Kind::kError,
                        fmt::format("--cert {}: certificate {} is not the issuer of the one before "
                                    "it: write them in order, the server's own first",
                                    file, i + 2),
                        "cat server.pem intermediate.pem > fullchain.pem"});
    return;
  }
  const std::string issuer = name_of(X509_get_issuer_name(chain.back().get()));
  findings.push_back({Kind::kNote, fmt::format("--cert {} has {} certificates and leads to {}",
                                               file, chain.size(), issuer)});
  if (chain.size() == 1) {
    findings.push_back(
        {Kind::kWarning,
         fmt::format("--cert {} has the server's certificate alone: most authorities sign with an "
                     "intermediate one, which clients need too (fullchain.pem, not cert.pem)",
                     file),
         "--cert with the file that has the whole chain (fullchain.pem)"});
  }
  const bool isrg = std::any_of(chain.begin(), chain.end(), [](const Certificate& one) {
    const std::string organization =
        name_part(X509_get_issuer_name(one.get()), NID_organizationName);
    return organization == "Internet Security Research Group" || organization == "Let's Encrypt";
  });
  if (isrg) {
    findings.push_back(
        {Kind::kWarning,
         fmt::format(
             "--cert {} is of Let's Encrypt: browsers take it, but native apps on libwebrtc "
             "have a list of roots of their own without ISRG and refuse turns: with it; "
             "ZeroSSL's chain works there",
             file)});
  }
}

void judge_folder(std::vector<Finding>& findings, std::string_view option,
                  const std::string& folder) {
  if (folder.empty()) return;
  DIR* opened = ::opendir(folder.c_str());
  if (opened == nullptr) {
    findings.push_back(
        {Kind::kError, fmt::format("--{} {}: {}", option, folder, std::strerror(errno))});
    return;
  }
  ::closedir(opened);
}

// A start goes on without its log file, which nobody may notice.
void judge_log_file(std::vector<Finding>& findings, const std::string& file) {
  if (file.empty()) return;
  const std::size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash + 1);
  DIR* opened = ::opendir(folder.c_str());
  if (opened == nullptr) {
    findings.push_back(
        {Kind::kWarning,
         fmt::format("--log-file {}: {}: the log would be lost", file, std::strerror(errno)),
         fmt::format("mkdir -p {}", folder)});
    return;
  }
  ::closedir(opened);
}

std::string_view to_word(Kind kind) {
  switch (kind) {
    case Kind::kGood:
      return "ok";
    case Kind::kNote:
      return "note";
    case Kind::kWarning:
      return "warning";
    case Kind::kError:
      return "error";
  }
  return "";
}

}  // namespace

std::vector<Finding> check_certificate(const std::string& file, WallTime now) {
  std::vector<Finding> findings;
  const auto chain = chain_of(file);
  if (chain.empty()) return findings;
  judge_times(findings, file, *chain.front(), now.since_epoch.count());
  judge_issuer(findings, file, chain);
  return findings;
}

std::vector<Finding> check_config(Config config, const Machine& machine, WallTime now) {
  std::vector<Finding> findings;
  for (std::string& warning : config.warnings) {
    findings.push_back({Kind::kWarning, std::move(warning)});
  }
  if (config.shared_secrets.empty() || config.api_keys.empty()) {
    findings.push_back({Kind::kNote,
                        "what is missing of --static-auth-secret and --api-key is in "
                        "the state directory, or made there at the first start"});
  }
  const std::vector<std::string> certificates = config.certificate_files;
  const std::string folder = config.static_dir;
  const std::string webroot = config.acme_webroot;
  const std::string log_file = config.logging.file;
  // Whatever a start would generate, the rest of the Plan does not depend on what it is.
  const GeneratedSecrets stand_in{"stand-in", "stand-in", ""};
  auto plan = make_plan(std::move(config), machine, stand_in);
  if (plan) {
    for (std::string& notice : plan->notices) findings.push_back({Kind::kNote, std::move(notice)});
    for (std::size_t i = 0; plan->certificates() && i < certificates.size(); ++i) {
      findings.push_back(
          {Kind::kGood, fmt::format("--pkey belongs to --cert {}", certificates[i])});
      auto more = check_certificate(certificates[i], now);
      std::move(more.begin(), more.end(), std::back_inserter(findings));
    }
  } else {
    findings.push_back({Kind::kError, std::move(plan.error().message)});
  }
  judge_folder(findings, "static", folder);
  judge_folder(findings, "acme-webroot", webroot);
  judge_log_file(findings, log_file);
  return findings;
}

CheckReport report(const std::vector<Finding>& findings) {
  CheckReport result;
  std::size_t warnings = 0;
  std::size_t errors = 0;
  for (const Finding& finding : findings) {
    result.text += fmt::format("{:<8} {}\n", to_word(finding.kind), finding.sentence);
    warnings += finding.kind == Kind::kWarning ? 1 : 0;
    errors += finding.kind == Kind::kError ? 1 : 0;
  }
  const auto counted = [](std::size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  result.text += fmt::format(
      "{}: {}, {}\n", errors == 0 ? "the configuration can be served" : "this will not start",
      counted(errors, "error"), counted(warnings, "warning"));
  if (errors > 0) result.code = kExitUsage;
  return result;
}

}  // namespace turnpike::server
