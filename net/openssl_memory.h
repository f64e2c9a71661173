// OpenSSL 3.0 allocates some forty bytes for every TLS record that it reads or writes, and frees
// them before it returns. These functions keep such blocks in a list of each thread, so that
// relaying over TLS touches the heap no more than relaying over UDP. They keep the buffers of whole
// records too, so that a connection with nothing on the way gives its two back
// (SSL_MODE_RELEASE_BUFFERS) and a busy one finds them again, still warm.
//
// Installed before main() begins, because OpenSSL takes no others once it has allocated anything;
// blocks of other sizes go to the C library as before. Any thread.
#pragma once

#include <array>
#include <cstddef>

namespace turnpike::net {

// Blocks of more than `above` and at most `size` bytes are made with `size` bytes and kept, at most
// `maximum` of them a thread.
struct KeptBlocks {
  std::size_t above;
  std::size_t size;
  std::size_t maximum;
};
inline constexpr std::array<KeptBlocks, 2> kKeptBlocks = {{
    {0, 64, 256},
    {16 * 1024, 17 * 1024, 64},  // a record of 16 KiB with its header, padding and tag
}};

// False under a sanitizer (which wants to see every block come and go), or when something
// allocated with OpenSSL before main().
bool openssl_memory_in_use();

// What OpenSSL is given; its rules for nullptr and zero apply.
void* openssl_malloc(std::size_t size, const char* file, int line);
void* openssl_realloc(void* block, std::size_t size, const char* file, int line);
void openssl_free(void* block, const char* file, int line);
// How many of a kind the calling thread keeps.
std::size_t kept_openssl_blocks(std::size_t kind);

}  // namespace turnpike::net
