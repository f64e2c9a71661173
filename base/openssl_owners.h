// Owning pointers for OpenSSL's objects. Any thread.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

namespace turnpike {

template <auto kFree>
struct OpensslFree {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioOwner = std::unique_ptr<BIO, OpensslFree<BIO_free>>;
using KeyOwner = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using X509Owner = std::unique_ptr<X509, OpensslFree<X509_free>>;
using ExtensionOwner = std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>>;
using AltNamesOwner = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;

}  // namespace turnpike
