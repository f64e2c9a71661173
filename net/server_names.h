// ServerNames: which of several certificates a client gets, by the name it asks for (RFC 6066
// section 3). The one that has this very name wins over one with a wildcard for it. Filled once,
// then read by any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace turnpike::net {

class ServerNames {
 public:
  // A DNS name of a certificate; "*." at its begin stands for one label (RFC 9525 section 6.3).
  // Of two certificates that have the same one, the first keeps it.
  void add(std::string_view name, std::size_t certificate);
  // A host, or a name as it stands in a certificate.
  std::optional<std::size_t> find(std::string_view host) const;

 private:
  using Table = std::map<std::string, std::size_t, std::less<>>;

  Table exact_;
  Table wildcards_;  // by what follows the first label
};

}  // namespace turnpike::net
