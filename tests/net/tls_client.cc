#include "tests/net/tls_client.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"

namespace turnpike::net {

Folder::Folder() {
  std::string name = std::filesystem::temp_directory_path() / "turnpike-net-XXXXXX";
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  path_ = name;
}

Folder::~Folder() { std::filesystem::remove_all(path_); }

void Folder::write(const std::string& name, const std::string& content) const {
  std::ofstream(file(name)) << content;
}

const TlsContext& test_context() {
  static const std::shared_ptr<const TlsContext> context = [] {
    const Folder folder;
    const TlsContext::Files files{folder.file("cert.pem"), folder.file("key.pem")};
    const auto written = write_self_signed(files, {"localhost", "127.0.0.1"});
    EXPECT_TRUE(written) << written.error().message;
    auto loaded = TlsContext::load(files);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return *loaded;
  }();
  return *context;
}

TlsClient::TlsClient(Descriptor fd, const Wish& wish)
    : fd_(std::move(fd)), context_(SSL_CTX_new(TLS_client_method())), ssl_(nullptr) {
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_security_level(context_, 0);
  if (wish.max_version != 0) SSL_CTX_set_max_proto_version(context_, wish.max_version);
  if (wish.min_version != 0) SSL_CTX_set_min_proto_version(context_, wish.min_version);
  ssl_ = SSL_new(context_);
  Bytes protocols;
  for (const std::string_view name : split(wish.alpn, ',')) {
    if (name.empty()) continue;
    protocols.push_back(static_cast<std::uint8_t>(name.size()));
    protocols.insert(protocols.end(), name.begin(), name.end());
  }
  if (!protocols.empty()) {
    EXPECT_EQ(SSL_set_alpn_protos(ssl_, protocols.data(), static_cast<unsigned>(protocols.size())),
              0);
  }
  SSL_set_fd(ssl_, fd_.get());
  SSL_set_connect_state(ssl_);
}

TlsClient::~TlsClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

void TlsClient::step() {
  if (failed) return;
  ERR_clear_error();
  if (!secured()) note(SSL_do_handshake(ssl_));
  while (secured() && !failed && !to_send_.empty()) {
    std::size_t sent = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_, to_send_.data(), to_send_.size(), &sent);
    note(result);
    if (result <= 0) break;
    to_send_.erase(to_send_.begin(), to_send_.begin() + static_cast<std::ptrdiff_t>(sent));
  }
  while (secured() && !failed && !closed && !paused_) {
    std::array<std::uint8_t, 16384> room;
    std::size_t size = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_, room.data(), room.size(), &size);
    note(result);
    if (result <= 0) break;
    received.insert(received.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
  }
}

void TlsClient::finish() {
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ::shutdown(fd_.get(), SHUT_WR);
}

std::string TlsClient::alpn() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_, &name, &length);
  return {reinterpret_cast<const char*>(name), length};
}

void TlsClient::note(int result) {
  if (result > 0) return;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return;
    case SSL_ERROR_ZERO_RETURN:
      closed = true;
      return;
    default:
      failed = true;
  }
}

}  // namespace turnpike::net
