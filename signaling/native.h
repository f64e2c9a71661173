// The native protocol (docs/signaling.md): JSON objects in text frames.
#pragma once

#include "signaling/dialect.h"

namespace turnpike::signaling {

class NativeDialect final : public Dialect {
 public:
  static constexpr std::size_t kMaxMessage = 64 * 1024;
  static constexpr std::size_t kMaxReference = 64;  // bytes of an `id`, quotes included

  std::size_t max_message() const override { return kMaxMessage; }
  ClientMessage decode(std::string_view text) const override;
  std::string encode(const HubMessage& message) const override;
  void address(std::string_view encoded, std::uint64_t sequence, std::string& out) const override;
};

}  // namespace turnpike::signaling
