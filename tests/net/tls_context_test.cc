#include "net/tls_context.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/openssl_owners.h"
#include "tests/net/tls_client.h"

namespace turnpike::net {
namespace {

struct Pair : Folder {
  explicit Pair(const std::vector<std::string>& names = {"localhost"})
      : files{file("cert.pem"), file("key.pem")} {
    const auto written = write_self_signed(files, names);
    EXPECT_TRUE(written) << written.error().message;
  }
  TlsContext::Files files;
};

using SslOwner = std::unique_ptr<SSL, OpensslFree<SSL_free>>;

std::string sentence(const TlsContext::Files& files) {
  const auto loaded = TlsContext::load(files);
  return loaded ? "" : loaded.error().message;
}

TEST(TlsContext, LoadsWhatTheSelfSignerWrote) {
  const Pair pair;
  const auto loaded = TlsContext::load(pair.files);
  EXPECT_TRUE(loaded) << loaded.error().message;
}

TEST(TlsContext, SaysWhichFileCannotBeRead) {
  const Pair pair;
  EXPECT_EQ(sentence({"/nowhere/cert.pem", pair.files.key}),
            "cannot read the certificate /nowhere/cert.pem: No such file or directory");
  EXPECT_EQ(sentence({pair.files.certificate, "/nowhere/key.pem"}),
            "cannot read the key /nowhere/key.pem: No such file or directory");
}

TEST(TlsContext, SaysWhichFileIsNotPem) {
  const Pair pair;
  pair.write("junk", "not a certificate\n");
  EXPECT_EQ(sentence({pair.file("junk"), pair.files.key}),
            "the certificate " + pair.file("junk") + " is not PEM (-----BEGIN CERTIFICATE-----)");
  EXPECT_EQ(sentence({pair.files.certificate, pair.file("junk")}),
            "the key " + pair.file("junk") + " is not PEM (-----BEGIN PRIVATE KEY-----)");
  // The two files swapped.
  EXPECT_EQ(sentence({pair.files.key, pair.files.certificate}),
            "the certificate " + pair.files.key + " is not PEM (-----BEGIN CERTIFICATE-----)");
}

TEST(TlsContext, SaysWhenKeyAndCertificateAreStrangers) {
  const Pair one, other;
  EXPECT_EQ(sentence({one.files.certificate, other.files.key}),
            "the key " + other.files.key + " does not belong to the certificate " +
                one.files.certificate);
}

TEST(TlsContext, NeverAsksForAPassphrase) {
  const Pair pair;
  const KeyOwner key(EVP_EC_gen("P-256"));
  const BioOwner memory(BIO_new(BIO_s_mem()));
  const unsigned char passphrase[] = "secret";
  ASSERT_EQ(PEM_write_bio_PrivateKey(memory.get(), key.get(), EVP_aes_128_cbc(), passphrase, 6,
                                     nullptr, nullptr),
            1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  pair.write("encrypted", std::string(text, static_cast<std::size_t>(size)));
  EXPECT_EQ(sentence({pair.files.certificate, pair.file("encrypted")}),
            "the key " + pair.file("encrypted") +
                " is encrypted: write it without a passphrase (openssl pkey -in KEY -out NEW)");
}

TEST(TlsContext, LeavesNoErrorsBehindForTheNextCaller) {
  const Pair pair;
  EXPECT_NE(sentence({pair.files.key, pair.files.key}), "");
  EXPECT_EQ(ERR_peek_error(), 0u);
  EXPECT_TRUE(TlsContext::load(pair.files));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(TlsContext, AChainIsSentWhole) {
  const Pair leaf, issuer;
  std::ifstream certificate(leaf.files.certificate), above(issuer.files.certificate);
  std::stringstream chain;
  chain << certificate.rdbuf() << above.rdbuf();
  leaf.write("chain.pem", chain.str());
  const auto loaded = TlsContext::load({leaf.file("chain.pem"), leaf.files.key});
  ASSERT_TRUE(loaded) << loaded.error().message;
  STACK_OF(X509)* extra = nullptr;
  SSL_CTX_get0_chain_certs((*loaded)->raw(), &extra);
  EXPECT_EQ(sk_X509_num(extra), 1);
}

TEST(TlsContext, MatchesHostsByTheAlternativeNamesOnly) {
  const Pair pair({"turn.example.org", "*.rooms.example.org", "192.0.2.7", "2001:db8::7"});
  const auto loaded = TlsContext::load(pair.files);
  ASSERT_TRUE(loaded);
  const std::vector<std::pair<std::string, bool>> table = {
      {"turn.example.org", true},
      {"TURN.Example.ORG", true},
      {"a.rooms.example.org", true},
      {"a.b.rooms.example.org", false},
      {"rooms.example.org", false},
      {"example.org", false},
      {"xturn.example.org", false},
      {"turn.example.org.evil.example", false},
      {"192.0.2.7", true},
      {"192.0.2.8", false},
      {"2001:db8::7", true},
      {"[2001:db8::7]", true},
      {"2001:db8::8", false},
      {"turnpike (self-signed)", false},
      {"", false},
      {std::string("turn.example.org\0.evil", 22), false},
  };
  for (const auto& [host, expected] : table) {
    EXPECT_EQ((*loaded)->matches_host(host), expected) << host;
  }
  EXPECT_EQ((*loaded)->host_names(),
            (std::vector<std::string>{"turn.example.org", "*.rooms.example.org"}));
}

// What a client is shown that asks for this name (none: "").
Bytes shown(const TlsContext& context, const std::string& host) {
  const std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>> client_context(
      SSL_CTX_new(TLS_client_method()));
  const SslOwner client(SSL_new(client_context.get())), server(SSL_new(context.raw()));
  BIO *near = nullptr, *far = nullptr;
  EXPECT_EQ(BIO_new_bio_pair(&near, 0, &far, 0), 1);
  SSL_set_bio(client.get(), near, near);
  SSL_set_bio(server.get(), far, far);
  SSL_set_connect_state(client.get());
  SSL_set_accept_state(server.get());
  const unsigned char alpn[] = "\x09stun.turn";
  EXPECT_EQ(SSL_set_alpn_protos(client.get(), alpn, sizeof alpn - 1), 0);
  if (!host.empty()) SSL_set_tlsext_host_name(client.get(), host.c_str());
  for (int i = 0; i < 10; ++i) {
    SSL_do_handshake(client.get());
    SSL_do_handshake(server.get());
  }
  EXPECT_TRUE(SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get()));
  ERR_clear_error();
  const unsigned char* agreed = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(client.get(), &agreed, &length);
  EXPECT_EQ(length, 9u) << "the policy is that of every certificate";
  const X509Owner certificate(SSL_get1_peer_certificate(client.get()));
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  Bytes bytes(der, der + std::max(size, 0));
  OPENSSL_free(der);
  return bytes;
}

Bytes of(const TlsContext::Certificate& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(SSL_CTX_get0_certificate(certificate.context.get()), &der);
  Bytes bytes(der, der + std::max(size, 0));
  OPENSSL_free(der);
  return bytes;
}

TEST(SeveralCertificates, AClientGetsTheOneForTheNameItAsksFor) {
  const Pair first({"one.example"}), second({"two.example", "*.two.example"}),
      third({"a.two.example"});
  const std::vector<TlsContext::Files> files = {first.files, second.files, third.files};
  const auto loaded = TlsContext::load_all(files);
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto& certificates = (*loaded)->certificates();
  const std::vector<std::pair<std::string, std::size_t>> table = {
      {"one.example", 0},
      {"two.example", 1},
      {"b.two.example", 1},
      {"A.Two.EXAMPLE", 2},
      {"b.a.two.example", 0},
      {"elsewhere", 0},
      {"", 0},
  };
  for (const auto& [host, expected] : table) {
    EXPECT_EQ(shown(**loaded, host), of(certificates[expected])) << host;
    EXPECT_EQ(&(*loaded)->certificate_for(host), &certificates[expected]) << host;
  }
  EXPECT_TRUE((*loaded)->matches_host("b.two.example"));
  EXPECT_FALSE((*loaded)->matches_host("elsewhere"));
}

TEST(SeveralCertificates, AHandshakeGoesOnWhenTheContextIsReplaced) {
  const Pair first({"one.example"}), second({"two.example"});
  const std::vector<TlsContext::Files> files = {first.files, second.files};
  auto loaded = TlsContext::load_all(files);
  ASSERT_TRUE(loaded);
  const SslOwner server(SSL_new((*loaded)->raw()));
  loaded->reset();
  const std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>> context(
      SSL_CTX_new(TLS_client_method()));
  const SslOwner client(SSL_new(context.get()));
  BIO *near = nullptr, *far = nullptr;
  ASSERT_EQ(BIO_new_bio_pair(&near, 0, &far, 0), 1);
  SSL_set_bio(client.get(), near, near);
  SSL_set_bio(server.get(), far, far);
  SSL_set_connect_state(client.get());
  SSL_set_accept_state(server.get());
  SSL_set_tlsext_host_name(client.get(), "two.example");
  for (int i = 0; i < 10; ++i) {
    SSL_do_handshake(client.get());
    SSL_do_handshake(server.get());
  }
  EXPECT_TRUE(SSL_is_init_finished(client.get()));
  const X509Owner certificate(SSL_get1_peer_certificate(client.get()));
  EXPECT_EQ(X509_check_host(certificate.get(), "two.example", 0, 0, nullptr), 1);
}

TEST(SeveralCertificates, OneThatCannotBeLoadedIsNamed) {
  const Pair good;
  const std::vector<TlsContext::Files> files = {good.files, {"/nowhere/cert.pem", good.files.key}};
  const auto loaded = TlsContext::load_all(files);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message,
            "cannot read the certificate /nowhere/cert.pem: No such file or directory");
}

TEST(SeveralCertificates, OneIsRenewedWhereAnotherCannotBe) {
  const Pair first({"one.example"}), second({"two.example"});
  const std::vector<TlsContext::Files> files = {first.files, second.files};
  const auto before = TlsContext::load_all(files);
  ASSERT_TRUE(before);
  first.write("cert.pem", "half a file");
  ASSERT_TRUE(write_self_signed(second.files, {"two.example"}));
  const auto renewed = TlsContext::renew(**before, files, TlsContext::Kind::kTls);
  ASSERT_EQ(renewed.failures.size(), 1u);
  EXPECT_NE(renewed.failures.front().find(first.files.certificate), std::string::npos);
  EXPECT_EQ(shown(*renewed.context, "one.example"), of((*before)->certificates()[0]));
  EXPECT_NE(shown(*renewed.context, "two.example"), of((*before)->certificates()[1]));
  EXPECT_FALSE(renewed.context->is_same_certificate(**before));
}

TEST(SelfSigned, IsAnEcdsaLeafForAYearThatVerifiesItself) {
  const Pair pair;
  const auto loaded = TlsContext::load(pair.files);
  ASSERT_TRUE(loaded);
  X509* certificate = SSL_CTX_get0_certificate((*loaded)->raw());
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  EXPECT_EQ(EVP_PKEY_get_base_id(key), EVP_PKEY_EC);
  EXPECT_EQ(EVP_PKEY_get_bits(key), 256);
  EXPECT_EQ(X509_verify(certificate, key), 1);
  EXPECT_LT(X509_cmp_current_time(X509_get0_notBefore(certificate)), 0);
  int days = 0, rest = 0;
  ASSERT_EQ(ASN1_TIME_diff(&days, &rest, X509_get0_notBefore(certificate),
                           X509_get0_notAfter(certificate)),
            1);
  EXPECT_EQ(days, 365);
  EXPECT_EQ(X509_check_ca(certificate), 0);
}

TEST(SelfSigned, TheKeyIsReadableByItsOwnerOnlyEvenWhereAFileStoodBefore) {
  const Folder folder;
  const TlsContext::Files files{folder.file("cert.pem"), folder.file("key.pem")};
  folder.write("key.pem", "something longer than nothing");
  ASSERT_EQ(::chmod(files.key.c_str(), 0644), 0);
  ASSERT_TRUE(write_self_signed(files, {"localhost"}));
  struct stat status {};
  ASSERT_EQ(::stat(files.key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_TRUE(TlsContext::load(files));
}

TEST(SelfSigned, SaysWhichFileCannotBeWritten) {
  const auto written = write_self_signed({"/nowhere/cert.pem", "/nowhere/key.pem"}, {"localhost"});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message, "cannot write /nowhere/key.pem: No such file or directory");
}

}  // namespace
}  // namespace turnpike::net
