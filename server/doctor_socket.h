// A blocking socket of the doctor's, closed when it goes, with which it asks the server that may be
// running here. Main thread.
#pragma once

#include <optional>
#include <utility>

#include "base/address.h"

namespace turnpike::server {

class DoctorSocket {
 public:
  explicit DoctorSocket(int fd) : fd_(fd) {}
  ~DoctorSocket();
  DoctorSocket(DoctorSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DoctorSocket& operator=(DoctorSocket&&) = delete;

  // Over TCP, and each step of the conversation gives up after three seconds.
  static std::optional<DoctorSocket> connect(const Address& address);
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Where a client of this machine reaches what listens there: "any" is loopback.
Address as_client_sees(const Address& listening);

}  // namespace turnpike::server
