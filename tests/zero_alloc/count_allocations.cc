// Preloaded into an unchanged release binary (LD_PRELOAD): stands before the C library's allocator
// and libstdc++'s operator new, and counts every call in a file that the test has mapped too. All
// threads of the process count.
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "tests/zero_alloc/counters.h"

// The names under which glibc exports its own allocator, so that no dlsym is needed (which
// allocates itself).
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);
}

namespace {

using turnpike::zero_alloc::Counters;

Counters startup_counters{};  // until the file is mapped, and when there is none
std::atomic<Counters*> counters{&startup_counters};
thread_local bool tracing = false;

__attribute__((constructor)) void map_counters() {
  const char* name = std::getenv(turnpike::zero_alloc::kFileVariable);
  if (name == nullptr) return;
  void* first_frames[2];
  backtrace(first_frames, 2);  // loads what it needs now, not while an allocation is traced
  const int fd = ::open(name, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* memory = ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory != MAP_FAILED) counters.store(static_cast<Counters*>(memory));
}

void trace_if_asked(Counters& all) {
  if (all.traces_left.load(std::memory_order_relaxed) <= 0 || tracing) return;
  tracing = true;
  if (all.traces_left.fetch_sub(1) > 0) {
    void* frames[24];
    const int count = backtrace(frames, 24);
    constexpr char kTitle[] = "--- allocation from\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kTitle, sizeof kTitle - 1);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
  }
  tracing = false;
}

void count(std::atomic<std::uint64_t> Counters::*which) {
  Counters& all = *counters.load(std::memory_order_relaxed);
  (all.*which).fetch_add(1, std::memory_order_relaxed);
  if (which != &Counters::frees) trace_if_asked(all);
}

void* counted_new(std::size_t size, std::size_t alignment) {
  count(&Counters::news);
  const std::size_t wanted = size == 0 ? 1 : size;
  void* memory = alignment <= alignof(std::max_align_t) ? __libc_malloc(wanted)
                                                        : __libc_memalign(alignment, wanted);
  if (memory == nullptr) std::abort();
  return memory;
}

void* counted_aligned(std::size_t alignment, std::size_t size) {
  count(&Counters::allocations);
  return __libc_memalign(alignment, size);
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  count(&Counters::allocations);
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) {
  count(&Counters::allocations);
  return __libc_calloc(number, size);
}
void* realloc(void* memory, std::size_t size) {
  count(&Counters::allocations);
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) { return counted_aligned(alignment, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return counted_aligned(alignment, size);
}
void* valloc(std::size_t size) { return counted_aligned(4096, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  void* got = counted_aligned(alignment, size);
  if (got == nullptr) return ENOMEM;
  *memory = got;
  return 0;
}
void free(void* memory) {
  if (memory != nullptr) count(&Counters::frees);
  __libc_free(memory);
}

}  // extern "C"

constexpr std::size_t kUsual = alignof(std::max_align_t);

void* operator new(std::size_t size) { return counted_new(size, kUsual); }
void* operator new[](std::size_t size) { return counted_new(size, kUsual); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted_new(size, kUsual);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted_new(size, kUsual);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted_new(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return counted_new(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted_new(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted_new(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, std::size_t) noexcept { free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { free(memory); }
