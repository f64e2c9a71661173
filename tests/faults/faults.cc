// A library for LD_PRELOAD that makes system calls of the real server fail on order: tests of what
// the product does without a descriptor, a buffer, a route, a disk, or with a wall clock that
// jumps. The product knows nothing of it and pays nothing for it.
//
// SYSCALL_FAULTS names a file of one page that this process and the test map (tests/interop/
// faults.py writes it): rules, a shift of the wall clock, and how often each call was made. Rules
// change while the server runs; whoever asks for no fault is served by the kernel.
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

// The order is that of CALLS in faults.py.
enum Call : std::uint32_t {
  kSocket,
  kBind,
  kAccept4,
  kSendto,
  kSendmsg,
  kSendmmsg,
  kWritev,
  kWrite,
  kRecvmmsg,
  kRead,
  kOpen,
  kConnect,
  kCalls
};
enum Kind : std::uint32_t { kUdp = 1, kTcp = 2, kUnix = 4, kFile = 8, kOther = 16 };

struct Rule {
  std::uint32_t active;
  std::uint32_t call;
  std::uint32_t kinds;     // of descriptors; 0: any
  std::int32_t error;      // errno
  std::uint32_t every;     // each so-manieth matching call
  std::uint32_t port;      // of the socket's own address; 0: any
  std::uint32_t not_port;  // any other than this
  std::uint32_t block;     // does not fail: waits until the rule is taken back
  std::uint64_t after;     // so many matching calls pass first
  std::uint64_t limit;     // so many fail; 0: all
  std::uint64_t seen;
  std::uint64_t hits;
};
constexpr int kRules = 16;
struct Page {
  std::int64_t wall_shift;  // nanoseconds
  std::uint64_t calls[kCalls + 3];
  Rule rules[kRules];
};

Page* page() {
  static Page* const mapped = [] {
    const char* path = std::getenv("SYSCALL_FAULTS");
    if (path == nullptr) return static_cast<Page*>(nullptr);
    const auto open_it =
        reinterpret_cast<int (*)(const char*, int, ...)>(::dlsym(RTLD_NEXT, "open"));
    const int fd = open_it(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) std::abort();
    void* memory = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (memory == MAP_FAILED) std::abort();
    return static_cast<Page*>(memory);
  }();
  return mapped;
}

int option_of(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

std::uint32_t kind_of(int domain, int type) {
  if (domain == AF_UNIX) return kUnix;
  if (domain != AF_INET && domain != AF_INET6) return kOther;
  return (type & 0xF) == SOCK_DGRAM ? kUdp : kTcp;
}

std::uint32_t kind_of(int fd) {
  const int domain = option_of(fd, SO_DOMAIN);
  if (domain >= 0) return kind_of(domain, option_of(fd, SO_TYPE));
  struct stat status;
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? kFile : kOther;
}

std::uint32_t port_of(int fd) {
  sockaddr_in6 address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.sin6_port);  // where sin_port is as well
}

template <typename T>
T load(const T& value) {
  return __atomic_load_n(&value, __ATOMIC_ACQUIRE);
}
std::uint64_t add(std::uint64_t& value) { return __atomic_add_fetch(&value, 1, __ATOMIC_ACQ_REL); }

bool is_meant(const Rule& rule, int fd, std::uint32_t kind) {
  if (rule.kinds != 0 && (rule.kinds & kind) == 0) return false;
  if (rule.port != 0 && port_of(fd) != rule.port) return false;
  return rule.not_port == 0 || port_of(fd) != rule.not_port;
}

// The errno with which this call fails; 0: it does not. `kind` of a descriptor that is not there
// yet.
int fault(Call call, int fd, std::uint32_t kind = 0) {
  Page* const orders = page();
  if (orders == nullptr) return 0;
  add(orders->calls[call]);
  for (Rule& rule : orders->rules) {
    if (load(rule.active) == 0 || rule.call != call) continue;
    const int before = errno;
    const bool meant = is_meant(rule, fd, kind != 0 ? kind : fd >= 0 ? kind_of(fd) : 0);
    errno = before;
    if (!meant) continue;
    const std::uint64_t seen = add(rule.seen);
    // The page may be cleared at any time.
    const std::uint32_t every = std::max(load(rule.every), 1u);
    if (seen <= rule.after || (seen - rule.after) % every != 0) continue;
    const std::uint64_t hits = add(rule.hits);
    if (rule.limit != 0 && hits > rule.limit) {
      __atomic_sub_fetch(&rule.hits, 1, __ATOMIC_ACQ_REL);
      continue;
    }
    if (rule.block == 0) return rule.error;
    while (load(rule.active) != 0) ::poll(nullptr, 0, 1);
  }
  return 0;
}

template <typename Result>
Result refuse(int error) {
  errno = error;
  return static_cast<Result>(-1);
}

}  // namespace

#define REAL(name) \
  static const auto real = reinterpret_cast<decltype(&::name)>(::dlsym(RTLD_NEXT, #name))

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  REAL(socket);
  const int error = fault(kSocket, -1, kind_of(domain, type));
  return error != 0 ? refuse<int>(error) : real(domain, type, protocol);
}

int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  REAL(bind);
  const int error = fault(kBind, fd);
  return error != 0 ? refuse<int>(error) : real(fd, address, length);
}

int connect(int fd, const sockaddr* address, socklen_t length) {
  REAL(connect);
  const int error = fault(kConnect, fd);
  return error != 0 ? refuse<int>(error) : real(fd, address, length);
}

int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  REAL(accept4);
  const int error = fault(kAccept4, fd);
  return error != 0 ? refuse<int>(error) : real(fd, address, length, flags);
}

ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* address,
               socklen_t length) {
  REAL(sendto);
  const int error = fault(kSendto, fd);
  return error != 0 ? refuse<ssize_t>(error) : real(fd, bytes, size, flags, address, length);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  REAL(sendmsg);
  const int error = fault(kSendmsg, fd);
  return error != 0 ? refuse<ssize_t>(error) : real(fd, message, flags);
}

int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  REAL(sendmmsg);
  const int error = fault(kSendmmsg, fd);
  return error != 0 ? refuse<int>(error) : real(fd, messages, count, flags);
}

ssize_t writev(int fd, const iovec* pieces, int count) {
  REAL(writev);
  const int error = fault(kWritev, fd);
  return error != 0 ? refuse<ssize_t>(error) : real(fd, pieces, count);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  REAL(write);
  const int error = fault(kWrite, fd);
  return error != 0 ? refuse<ssize_t>(error) : real(fd, bytes, size);
}

ssize_t read(int fd, void* bytes, size_t size) {
  REAL(read);
  const int error = fault(kRead, fd);
  return error != 0 ? refuse<ssize_t>(error) : real(fd, bytes, size);
}

int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  REAL(recvmmsg);
  const int error = fault(kRecvmmsg, fd);
  return error != 0 ? refuse<int>(error) : real(fd, messages, count, flags, timeout);
}

int open(const char* path, int flags, ...) {
  REAL(open);
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  const int error = fault(kOpen, -1);
  return error != 0 ? refuse<int>(error) : real(path, flags, mode);
}

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  REAL(clock_gettime);
  const int done = real(clock, now);
  if (done != 0 || clock != CLOCK_REALTIME || page() == nullptr) return done;
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t shift = load(page()->wall_shift);
  now->tv_sec += shift / kSecond;
  return 0;
}

time_t time(time_t* result) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(timeval* result, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  *result = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

}  // extern "C"
