// What the process asks of the machine: CPUs, limits, and who it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "server/cpus.h"
#include "server/privileges.h"
#include "tests/server/child.h"
#include "tests/server/scratch_dir.h"

namespace turnpike::server {
namespace {

TEST(Cpus, AQuotaOfVersionTwoCountsInWholeCpus) {
  ScratchDir root;
  root.write("proc/self/cgroup", "0::/system.slice/turnpike.service\n");
  const std::string folder = "sys/fs/cgroup/system.slice/turnpike.service/";
  root.write(folder + "cpu.max", "150000 100000\n");
  EXPECT_EQ(cgroup_cpus(root.path()), 2u);
  root.write(folder + "cpu.max", "200000 100000\n");
  EXPECT_EQ(cgroup_cpus(root.path()), 2u);
  root.write(folder + "cpu.max", "1000 100000\n");
  EXPECT_EQ(cgroup_cpus(root.path()), 1u);
  root.write(folder + "cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpus(root.path()), std::nullopt);
}

TEST(Cpus, TheGroupsAboveBindToo) {
  ScratchDir root;
  root.write("proc/self/cgroup", "0::/a/b\n");
  root.write("sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
  root.write("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  EXPECT_EQ(cgroup_cpus(root.path()), 3u);
  root.write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  EXPECT_EQ(cgroup_cpus(root.path()), 1u);
}

TEST(Cpus, AQuotaOfVersionOneIsReadFromTheCpuController) {
  ScratchDir root;
  root.write("proc/self/cgroup", "7:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n1:cpuset:/\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpus(root.path()), 3u);
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cgroup_cpus(root.path()), std::nullopt);
}

TEST(Cpus, NonsenseIsNoQuota) {
  ScratchDir root;
  EXPECT_EQ(cgroup_cpus(root.path()), std::nullopt);
  root.write("proc/self/cgroup", "0::/\nnothing\n5:cpu\n");
  root.write("sys/fs/cgroup/cpu.max", "x 0\n");
  EXPECT_EQ(cgroup_cpus(root.path()), std::nullopt);
  root.write("sys/fs/cgroup/cpu.max", "100000 0\n");
  EXPECT_EQ(cgroup_cpus(root.path()), std::nullopt);
}

TEST(Cpus, ThereIsAlwaysOne) { EXPECT_GE(usable_cpus(), 1u); }

TEST(Process, RaisesOpenFilesToTheHardLimitAndKeepsFilesPrivate) {
  EXPECT_EQ(in_child([] {
              rlimit limit{};
              ::getrlimit(RLIMIT_NOFILE, &limit);
              limit.rlim_cur = 64;
              ::setrlimit(RLIMIT_NOFILE, &limit);
              prepare_process();
              ::getrlimit(RLIMIT_NOFILE, &limit);
              if (limit.rlim_cur != limit.rlim_max) return 1;
              return ::umask(0) == 077 ? 0 : 2;
            }),
            0);
}

TEST(Process, ALowHardLimitIsSaid) {
  EXPECT_EQ(in_child([] {
              const rlimit limit{256, 256};
              ::setrlimit(RLIMIT_NOFILE, &limit);
              const auto warning = prepare_process();
              return warning && warning->find("256") != std::string::npos ? 0 : 1;
            }),
            0);
}

TEST(Privileges, IdMapsOfUserNamespacesAreUnderstood) {
  EXPECT_TRUE(id_map_contains("         0          0 4294967295\n", 65534));
  EXPECT_FALSE(id_map_contains("         0       1000          1\n", 65534));
  EXPECT_TRUE(id_map_contains("0 1000 1\n1 100000 65536\n", 65534));
  EXPECT_FALSE(id_map_contains("0 1000 1\n1 100000 65533\n", 65534));
  EXPECT_FALSE(id_map_contains("", 0));
}

TEST(Privileges, AnOrdinaryUserStaysWhoTheyAre) {
  EXPECT_EQ(in_ordinary_child([] {
              const uid_t before = ::geteuid();
              return drop_privileges(Plan{}).has_value() && ::geteuid() == before ? 0 : 1;
            }),
            0);
}

TEST(Privileges, RootIsGivenUpForGood) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(in_child([] {
              if (!drop_privileges(Plan{})) return 1;
              if (::getuid() == 0 || ::geteuid() == 0 || ::getgid() == 0) return 2;
              if (::getgroups(0, nullptr) != 0) return 3;
              if (::setuid(0) == 0 || ::setgid(0) == 0) return 4;
              return 0;
            }),
            0);
}

TEST(Privileges, AnUnknownUserIsNobody) {
  EXPECT_FALSE(find_user("no-such-user-of-turnpike").has_value());
  EXPECT_EQ(find_user("root")->uid, 0u);
}

}  // namespace
}  // namespace turnpike::server
