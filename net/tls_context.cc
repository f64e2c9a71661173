#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <span>
#include <utility>

#include "base/address.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/dtls.h"
#include "base/openssl_owners.h"
#include "net/openssl_memory.h"

namespace turnpike::net {
namespace {

// TLS 1.2 suites: forward secrecy and AEAD only. TLS 1.3 has no others.
constexpr const char* kSuites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr std::array<std::string_view, 3> kProtocols = {"stun.turn", "stun.nat-discovery",
                                                        "http/1.1"};
// Pages do not come by datagrams.
constexpr std::span<const std::string_view> kDatagramProtocols = std::span(kProtocols).first<2>();

// Never asks on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Expected<BioOwner> open_file(const std::string& path, std::string_view what) {
  errno = 0;
  BioOwner file(BIO_new_file(path.c_str(), "r"));
  if (file) return file;
  const int error = errno;
  ERR_clear_error();
  return failure("cannot read the " + std::string(what) + " " + path + ": " +
                 std::strerror(error == 0 ? EIO : error));
}

Expected<void> use_certificates(SSL_CTX* context, const std::string& path) {
  const Expected<BioOwner> file = open_file(path, "certificate");
  if (!file) return unexpected(file.error());
  const X509Owner leaf(PEM_read_bio_X509_AUX(file->get(), nullptr, no_passphrase, nullptr));
  if (!leaf)
    return failure("the certificate " + path + " is not PEM (-----BEGIN CERTIFICATE-----)");
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return failure("the certificate " + path +
                   " cannot be used: its key is too weak or of a kind "
                   "that TLS does not have");
  }
  while (X509* issuer = PEM_read_bio_X509(file->get(), nullptr, no_passphrase, nullptr)) {
    CHECK(SSL_CTX_add0_chain_cert(context, issuer) == 1);
  }
  ERR_clear_error();  // the end of the file is one
  return {};
}

Expected<void> use_key(SSL_CTX* context, const TlsContext::Files& files) {
  const Expected<BioOwner> file = open_file(files.key, "key");
  if (!file) return unexpected(file.error());
  bool encrypted = false;
  const auto refuse = [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
  };
  const KeyOwner key(PEM_read_bio_PrivateKey(file->get(), nullptr, refuse, &encrypted));
  if (!key && encrypted) {
    return failure("the key " + files.key +
                   " is encrypted: write it without a passphrase (openssl pkey -in KEY -out NEW)");
  }
  if (!key) {
    return failure("the key " + files.key + " is not PEM (-----BEGIN PRIVATE KEY-----)");
  }
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return failure("the key " + files.key + " does not belong to the certificate " +
                   files.certificate);
  }
  return {};
}

// RFC 7301 section 3.2: the server decides. No web client offers stun.turn, so whoever does is a
// TURN client, whatever it offers before it (coturn's begins with http/1.1). The list holds
// length-prefixed names.
int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_length,
                    const unsigned char* offered, unsigned offered_length, void*) {
  const std::span<const std::string_view> spoken =
      SSL_is_dtls(ssl) == 1 ? kDatagramProtocols : std::span<const std::string_view>(kProtocols);
  for (const std::string_view ours : spoken) {
    Reader list(ByteView(offered, offered_length));
    while (list.remaining() > 0) {
      const ByteView name = list.bytes(list.u8());
      if (as_text(name) != ours) continue;
      *chosen = name.data();
      *chosen_length = static_cast<unsigned char>(name.size());
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

void apply_policy(SSL_CTX* context, TlsContext::Kind kind) {
  const bool datagrams = kind == TlsContext::Kind::kDtls;
  const int oldest = datagrams ? DTLS1_2_VERSION : TLS1_2_VERSION;
  CHECK(SSL_CTX_set_min_proto_version(context, oldest) == 1);
  CHECK(SSL_CTX_set_cipher_list(context, kSuites) == 1);
  // A connection that ends without close_notify ended; nothing we speak is cut in two by it.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  // An idle connection gives its record buffers back, but only where that costs no allocation for
  // every record.
  if (openssl_memory_in_use()) SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Head and body of a record, and as many records as fit, with one read.
  SSL_CTX_set_read_ahead(context, 1);
  // Resumption is by tickets, which cost the server no memory; the cache would be a shared lock.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  if (datagrams) dtls::require_cookies(context);
}

using Context = std::shared_ptr<SSL_CTX>;

Context make_context(TlsContext::Kind kind) {
  const bool datagrams = kind == TlsContext::Kind::kDtls;
  Context context(SSL_CTX_new(datagrams ? DTLS_server_method() : TLS_server_method()),
                  SSL_CTX_free);
  CHECK(context != nullptr);
  apply_policy(context.get(), kind);
  return context;
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  const AltNamesOwner alternatives(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    names.emplace_back(text, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  return names;
}

WallTime end_of(X509* certificate) {
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return {};
  return WallTime{seconds(timegm(&end))};
}

TlsContext::Certificate described(Context context) {
  X509* certificate = SSL_CTX_get0_certificate(context.get());
  auto names = names_of(certificate);
  return {std::move(context), std::move(names), end_of(certificate)};
}

Expected<TlsContext::Certificate> read_certificate(const TlsContext::Files& files,
                                                   TlsContext::Kind kind) {
  Context context = make_context(kind);
  Expected<void> used = use_certificates(context.get(), files.certificate);
  if (used) used = use_key(context.get(), files);
  ERR_clear_error();
  if (!used) return unexpected(used.error());
  return described(std::move(context));
}

// In a context of its own: what handshakes begin with knows the other certificates of its set.
TlsContext::Certificate copied(const TlsContext::Certificate& certificate, TlsContext::Kind kind) {
  Context context = make_context(kind);
  SSL_CTX* from = certificate.context.get();
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(from, &chain);
  CHECK(SSL_CTX_use_certificate(context.get(), SSL_CTX_get0_certificate(from)) == 1);
  CHECK(SSL_CTX_use_PrivateKey(context.get(), SSL_CTX_get0_privatekey(from)) == 1);
  CHECK(chain == nullptr || SSL_CTX_set1_chain(context.get(), chain) == 1);
  return described(std::move(context));
}

// What a handshake chooses from. It belongs to the first certificate's OpenSSL context, which every
// connection holds for as long as it lives, and not to the TlsContext, which a reload may replace
// in the middle of a handshake. The first one is not held: it would hold itself.
struct Choice {
  ServerNames names;
  SSL_CTX* first = nullptr;
  std::vector<Context> others;

  SSL_CTX* at(std::size_t certificate) const {
    return certificate == 0 ? first : others[certificate - 1].get();
  }
};

void forget_choice(void*, void* choice, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Choice*>(choice);
}

int choice_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, forget_choice);
  return index;
}

// The certificate changes and nothing else: all contexts have the same policy, and tickets are
// those of the context that the handshake began with.
int choose_certificate(SSL* ssl, int*, void* argument) {
  const auto& choice = *static_cast<const Choice*>(argument);
  const char* host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const auto found = choice.names.find(host == nullptr ? "" : host);
  const bool switched = SSL_set_SSL_CTX(ssl, choice.at(found.value_or(0))) != nullptr;
  return found && switched ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

TlsContext::TlsContext(std::vector<Certificate> certificates)
    : certificates_(std::move(certificates)) {
  CHECK(!certificates_.empty() && certificates_.size() <= kMaxCertificates);
  for (std::size_t i = 0; i < certificates_.size(); ++i) {
    for (const std::string& name : certificates_[i].names) names_.add(name, i);
  }
  if (certificates_.size() == 1) return;
  auto choice = std::make_unique<Choice>();
  choice->names = names_;
  choice->first = raw();
  for (std::size_t i = 1; i < certificates_.size(); ++i) {
    choice->others.push_back(certificates_[i].context);
  }
  CHECK(SSL_CTX_set_tlsext_servername_callback(raw(), choose_certificate) == 1);
  CHECK(SSL_CTX_set_tlsext_servername_arg(raw(), choice.get()) == 1);
  CHECK(SSL_CTX_set_ex_data(raw(), choice_index(), choice.release()) == 1);
}

Expected<std::shared_ptr<const TlsContext>> TlsContext::load(const Files& files, Kind kind) {
  return load_all(std::span(&files, 1), kind);
}

Expected<std::shared_ptr<const TlsContext>> TlsContext::load_all(std::span<const Files> files,
                                                                 Kind kind) {
  std::vector<Certificate> certificates;
  for (const Files& pair : files) {
    auto read = read_certificate(pair, kind);
    if (!read) return unexpected(std::move(read.error()));
    certificates.push_back(std::move(*read));
  }
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(certificates)));
}

TlsContext::Renewed TlsContext::renew(const TlsContext& running, std::span<const Files> files,
                                      Kind kind) {
  CHECK(files.size() == running.certificates_.size());
  Renewed renewed;
  std::vector<Certificate> certificates;
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto read = read_certificate(files[i], kind);
    if (!read) renewed.failures.push_back(std::move(read.error().message));
    certificates.push_back(read ? std::move(*read) : copied(running.certificates_[i], kind));
  }
  renewed.context.reset(new TlsContext(std::move(certificates)));
  return renewed;
}

const TlsContext::Certificate& TlsContext::certificate_for(std::string_view host) const {
  return certificates_[names_.find(host).value_or(0)];
}

bool TlsContext::matches_host(std::string_view host) const {
  X509* certificate = SSL_CTX_get0_certificate(certificate_for(host).context.get());
  if (const auto ip = IpAddress::parse(host)) {
    return X509_check_ip(certificate, ip->bytes().data(), ip->bytes().size(), 0) == 1;
  }
  if (host.empty() || host.find('\0') != std::string_view::npos) return false;
  // RFC 9525 section 6.3: the subject's common name no longer counts, a wildcard is a whole label.
  constexpr unsigned kFlags =
      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  return X509_check_host(certificate, host.data(), host.size(), kFlags, nullptr) == 1;
}

WallTime TlsContext::expires() const {
  const auto soonest = std::min_element(
      certificates_.begin(), certificates_.end(),
      [](const Certificate& a, const Certificate& b) { return a.expires < b.expires; });
  return soonest->expires;
}

bool TlsContext::Certificate::is_same(const Certificate& other) const {
  SSL_CTX* const ours = context.get();
  SSL_CTX* const theirs = other.context.get();
  if (X509_cmp(SSL_CTX_get0_certificate(ours), SSL_CTX_get0_certificate(theirs)) != 0) {
    return false;
  }
  STACK_OF(X509)* our_chain = nullptr;
  STACK_OF(X509)* their_chain = nullptr;
  SSL_CTX_get0_chain_certs(ours, &our_chain);
  SSL_CTX_get0_chain_certs(theirs, &their_chain);
  const auto count = [](STACK_OF(X509) * chain) {
    return chain == nullptr ? 0 : sk_X509_num(chain);
  };
  if (count(our_chain) != count(their_chain)) return false;
  for (int i = 0; i < count(our_chain); ++i) {
    if (X509_cmp(sk_X509_value(our_chain, i), sk_X509_value(their_chain, i)) != 0) return false;
  }
  return true;
}

bool TlsContext::is_same_certificate(const TlsContext& other) const {
  return std::equal(certificates_.begin(), certificates_.end(), other.certificates_.begin(),
                    other.certificates_.end(),
                    [](const Certificate& a, const Certificate& b) { return a.is_same(b); });
}

std::vector<std::string> TlsContext::host_names() const {
  std::vector<std::string> names;
  for (const Certificate& one : certificates_) {
    names.insert(names.end(), one.names.begin(), one.names.end());
  }
  return names;
}

}  // namespace turnpike::net
