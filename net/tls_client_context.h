// TlsClientContext: whom this server believes when it is the client of a TLS connection: the
// system's certificate authorities, or those of a file. TLS 1.2 and 1.3. Built once, immutable,
// shared by threads.
#pragma once

#include <memory>
#include <string>

#include "base/expected.h"

struct ssl_ctx_st;

namespace turnpike::net {

class TlsClientContext {
 public:
  // `ca_file` (PEM) takes the place of the system's store; empty: the system's. The sentence says
  // what is wrong with the file.
  static Expected<std::shared_ptr<const TlsClientContext>> load(const std::string& ca_file);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  ssl_ctx_st* raw() const { return context_; }

 private:
  explicit TlsClientContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

}  // namespace turnpike::net
