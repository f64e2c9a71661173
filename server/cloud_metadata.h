// What a cloud says is the public IPv4 address of this machine: its metadata service answers HTTP
// at an address that only the machine itself reaches. Asked for "--external-ip auto" alone, and
// only while the server starts: it blocks, up to kMetadataPatience in all.
#pragma once

#include "base/expected.h"
#include "base/time.h"
#include "server/external_addresses.h"

namespace turnpike::server {

inline constexpr Duration kMetadataPatience = seconds(5);
inline constexpr Duration kMetadataConnects = seconds(1);  // an address without a service is silent

Expected<CloudAnswer> ask_cloud();

}  // namespace turnpike::server
