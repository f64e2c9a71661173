#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/address.h"
#include "base/check.h"
#include "base/openssl_owners.h"
#include "net/tls_context.h"

namespace turnpike::net {
namespace {

constexpr long kBackdated = 24 * 3600;  // clocks of phones differ
constexpr long kValid = 365L * 24 * 3600;

void add_extension(X509* certificate, int kind, const std::string& value) {
  const ExtensionOwner extension(X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
  CHECK(extension != nullptr);
  CHECK(X509_add_ext(certificate, extension.get(), -1) == 1);
}

AltNamesOwner alternative_names(const std::vector<std::string>& names) {
  AltNamesOwner result(sk_GENERAL_NAME_new_null());
  for (const std::string& text : names) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    const auto ip = IpAddress::parse(text);
    ASN1_STRING* value = ip ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    CHECK(name != nullptr && value != nullptr);
    const void* bytes = ip ? static_cast<const void*>(ip->bytes().data()) : text.data();
    const std::size_t size = ip ? ip->bytes().size() : text.size();
    CHECK(ASN1_STRING_set(value, bytes, static_cast<int>(size)) == 1);
    GENERAL_NAME_set0_value(name, ip ? GEN_IPADD : GEN_DNS, value);
    CHECK(sk_GENERAL_NAME_push(result.get(), name) > 0);
  }
  return result;
}

X509Owner make_certificate(EVP_PKEY* key, const std::vector<std::string>& names) {
  X509Owner certificate(X509_new());
  X509* x509 = certificate.get();
  CHECK(x509 != nullptr && X509_set_version(x509, X509_VERSION_3) == 1);
  // A browser refuses two certificates of one issuer with the same serial number.
  std::uint64_t serial = 0;
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  CHECK(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial | 1) == 1);
  CHECK(X509_gmtime_adj(X509_getm_notBefore(x509), -kBackdated) != nullptr);
  CHECK(X509_gmtime_adj(X509_getm_notAfter(x509), kValid - kBackdated) != nullptr);
  X509_NAME* name = X509_get_subject_name(x509);
  const auto* common = reinterpret_cast<const unsigned char*>("turnpike (self-signed)");
  CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0) == 1);
  CHECK(X509_set_issuer_name(x509, name) == 1);
  CHECK(X509_set_pubkey(x509, key) == 1);
  add_extension(x509, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(x509, NID_key_usage, "critical,digitalSignature");
  add_extension(x509, NID_ext_key_usage, "serverAuth");
  const AltNamesOwner alternatives = alternative_names(names);
  CHECK(X509_add1_ext_i2d(x509, NID_subject_alt_name, alternatives.get(), 0, 0) == 1);
  CHECK(X509_sign(x509, key, EVP_sha256()) > 0);
  return certificate;
}

template <typename WritePem>
Expected<void> write_file(const std::string& path, mode_t mode, WritePem write_pem) {
  const auto complain = [&path](int error) {
    return failure("cannot write " + path + ": " + std::strerror(error));
  };
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return complain(errno);
  // The file may have existed with another mode.
  if (::fchmod(fd, mode) != 0) {
    const int error = errno;
    ::close(fd);
    return complain(error);
  }
  errno = 0;
  const BioOwner file(BIO_new_fd(fd, BIO_CLOSE));
  const bool written = file != nullptr && write_pem(file.get()) == 1;
  if (!written) return complain(errno == 0 ? EIO : errno);
  return {};
}

}  // namespace

Expected<void> write_self_signed(const TlsContext::Files& files,
                                 const std::vector<std::string>& names) {
  const KeyOwner key(EVP_EC_gen("P-256"));
  CHECK(key != nullptr);
  const X509Owner certificate = make_certificate(key.get(), names);
  Expected<void> written = write_file(files.key, 0600, [&](BIO* file) {
    return PEM_write_bio_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (!written) return written;
  return write_file(files.certificate, 0644,
                    [&](BIO* file) { return PEM_write_bio_X509(file, certificate.get()); });
}

}  // namespace turnpike::net
