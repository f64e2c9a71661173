// Outlet: the world outside of the Carrier, as far as bytes and files go. Implemented by the hub
// loop over real sockets, and by tests. Called only from inside a call of the Carrier; carrier's
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/time.h"
#include "signaling/endpoint.h"

namespace turnpike::signaling {

struct ConnectionOrigin {
  Address remote;
  Address local;
  bool secure = false;  // came over TLS
  TlsFacts tls;         // what that TLS is
};

// Which of the operator's folders a file is wanted from.
enum class Folder : std::uint8_t {
  kStatic,      // --static
  kChallenges,  // --acme-webroot: nothing but small files, and no folder
};

class Outlet {
 public:
  virtual ~Outlet() = default;
  // Takes the bytes; answers how many wait for this connection now. The carrier closes connections
  // that read too slowly.
  virtual std::size_t write(ConnectionHandle connection, ByteView bytes) = 0;
  // After what was written has left. No further call names this connection.
  virtual void close(ConnectionHandle connection) = 0;
  // Wants a file below that folder; `path` is decoded, relative, clean of "..", NUL and dot files,
  // but for the folder that kChallenges begins with. Answered once by Carrier::on_file, at once or
  // later.
  virtual void read_file(ConnectionHandle connection, Folder folder, std::string_view path) = 0;
};

struct FileAnswer {
  enum class Kind : std::uint8_t { kFile, kDirectory, kNotFound, kTooLarge };
  Kind kind = Kind::kNotFound;
  std::string content;               // kFile
  WallTime modified;                 // kFile
  std::vector<std::string> listing;  // kDirectory without index.html; folders end in '/'
  // kFile: the content is the index.html of the folder that was asked for.
  bool is_index = false;
};

}  // namespace turnpike::signaling
