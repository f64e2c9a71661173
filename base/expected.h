// Expected<T>: a value, or the reason why there is none.
// Error is for what the world does to us; its sentence is written for the operator and says what
// to do. What a peer gets wrong has its own small enum (stun::ParseError, stun::ErrorCode).
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace turnpike {

struct Error {
  std::string message;
};

template <typename T, typename E = Error>
using Expected = tl::expected<T, E>;

template <typename E>
auto unexpected(E&& error) {
  return tl::make_unexpected(std::forward<E>(error));
}

inline auto failure(std::string message) { return tl::make_unexpected(Error{std::move(message)}); }

}  // namespace turnpike
