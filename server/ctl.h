// `turnpike ctl`: asks a server that runs, over its UNIX socket (admin_port.h), and prints what it
// answers as a table or, with --json, as it came. Blocking; a process of its own.
#pragma once

#include <string>
#include <vector>

#include "base/expected.h"
#include "server/config.h"

namespace turnpike::server {

struct CtlCommand {
  std::string socket;  // empty: where the environment says, else kDefaultSocket
  bool json = false;
  bool help = false;
  std::string method = "GET";
  std::string target;  // "/admin/v1/info"
  std::string body;    // JSON, for POST
  std::string verb;    // "info"
};

inline constexpr const char* kDefaultSocket = "/run/turnpike/turnpike.sock";

// What stands behind `turnpike ctl`. The Error says what is expected.
Expected<CtlCommand> read_ctl(const std::vector<std::string>& arguments);
std::string ctl_help();

// Where the socket is: `wished`, TURNPIKE_ADMIN_SOCKET, RUNTIME_DIRECTORY/turnpike.sock, else
// kDefaultSocket.
std::string ctl_socket(const std::string& wished);

// `body` is what the server answered to the verb, JSON.
std::string ctl_table(const std::string& verb, const std::string& body);

// The whole command: prints, and answers the exit code (0; 1 where the server refuses or an audit
// finds something; kExitUsage; kExitCannotListen where no server answers).
int run_ctl(const std::vector<std::string>& arguments);

}  // namespace turnpike::server
