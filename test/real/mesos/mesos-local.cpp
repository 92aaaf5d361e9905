// Starts what the PyPI package mesos.scheduler 1.11.0 carries: all of libmesos, so a real Mesos 1.11.0.
//   mesos-local          a master and MESOS_NUM_SLAVES agents in this process, until LOCAL_PARENT is not its parent (the library's "local" master)
//                        with LOCAL_MASTER=master@IP:PORT the agents are that master's, in a process without a leading one
//   mesos-local launch   the library's own container launcher, for MESOS_LAUNCHER_DIR/mesos-containerizer
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>
#include <string>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Only as much of stout's and libmesos' ABI (1.11.0, x86_64) as is called here.
template <class T> struct Option { int state; union { T value; }; Option(const T& v) : state(0) { new (&value) T(v); } ~Option() {} };
namespace flags {
class FlagsBase { public: struct Loaded { char bytes[512]; ~Loaded() {} };
  Loaded load(const Option<std::string>& prefix, int argc, const char* const* argv, bool unknowns, bool duplicates); };
}
namespace mesos {
class Scheduler;
class FrameworkInfo { char bytes[4096]; public: FrameworkInfo(); };
class MesosSchedulerDriver { char bytes[8192]; public: MesosSchedulerDriver(Scheduler*, const FrameworkInfo&, const std::string& master); };
}
#define LAUNCH(name) _ZN5mesos8internal5slave24MesosContainerizerLaunch##name
extern "C" char _ZTVN5mesos8internal5slave24MesosContainerizerLaunchE[];
extern "C" void LAUNCH(5FlagsC1Ev)(void*);
extern "C" int LAUNCH(7executeEv)(void*);
extern "C" flags::FlagsBase* LAUNCH(8getFlagsEv)(void*);
static const size_t kLaunchFlagsOffset = 0xe0;  // of MesosContainerizerLaunch::flags in 1.11.0

// The local cluster reads an agent's flags from the environment just before it makes that agent's work directory:
// when agent N's directory is first made, the environment is set for agent N+1 (agents make theirs again later, at any time).
// LOCAL_AGENTS has one line for each agent, "host name|resources|attributes"; agents without a line have what the last has.
static std::string local_agents;
static void agent_environment(int n) {
  std::istringstream lines(local_agents);
  std::string line;
  for (int i = 0; i <= n; i++) if (!std::getline(lines, line)) return;
  std::istringstream fields(line);
  std::string field;
  for (const char* flag : {"MESOS_HOSTNAME", "MESOS_RESOURCES", "MESOS_ATTRIBUTES"})
    if (std::getline(fields, field, '|')) setenv(flag, field.c_str(), 1);
}
extern "C" int mkdir(const char* path, mode_t mode) {
  static auto real = (int (*)(const char*, mode_t))dlsym(RTLD_NEXT, "mkdir");
  static std::atomic<int> made{0};
  int n; const char* agents = strstr(path, "/agents/");
  if (agents && sscanf(agents, "/agents/%d/work", &n) == 1 && strstr(agents, "/work") && !strstr(agents, "/work/") && n >= made.load()) {
    made = n + 1;
    agent_environment(n + 1);
  }
  return real(path, mode);
}

// The local cluster's detector, which its master and its agents share, is told of one leader: with LOCAL_MASTER, of another
// process' master; the own one then stands by for ever. The library binds its own calls, so its function is overwritten by a jump.
#define APPOINT(argument) "_ZN5mesos6master8detector24StandaloneMasterDetector7appointERK" argument
extern "C" void _ZN7process4UPIDC1EPKc(void*, const char*);
static std::string local_master;
static void appoint_other(void* detector, const void*) {
  void* upid = calloc(1, 4096);
  _ZN7process4UPIDC1EPKc(upid, local_master.c_str());
  ((void (*)(void*, const void*))dlsym(RTLD_NEXT, APPOINT("N7process4UPIDE")))(detector, upid);
}
static void follow_other() {
  char* call = (char*)dlsym(RTLD_NEXT, APPOINT("6OptionINS_10MasterInfoEE"));
  char jump[12] = {0x48, (char)0xb8, 0, 0, 0, 0, 0, 0, 0, 0, (char)0xff, (char)0xe0};  // movabs rax, …; jmp rax
  void* target = (void*)appoint_other;
  memcpy(jump + 2, &target, sizeof target);
  const uintptr_t page = (uintptr_t)call & ~(uintptr_t)4095;
  if (mprotect((void*)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC)) { perror("mesos-local: mprotect"); _exit(1); }
  memcpy(call, jump, sizeof jump);
}

// Variables of ours are no executor's business.
static std::string taken(const char* variable) {
  const char* value = getenv(variable);
  std::string copy = value ? value : "";
  unsetenv(variable);
  return copy;
}

int main(int argc, char** argv) {
  if (argc > 1 && !strcmp(argv[1], "launch")) {
    char* launch = (char*)calloc(1, 65536);
    *(void**)launch = _ZTVN5mesos8internal5slave24MesosContainerizerLaunchE + 16;
    new (launch + 8) std::string("launch");
    LAUNCH(5FlagsC1Ev)(launch + kLaunchFlagsOffset);
    Option<std::string> prefix(std::string("MESOS_CONTAINERIZER_"));
    LAUNCH(8getFlagsEv)(launch)->load(prefix, argc - 1, argv + 1, false, false);
    return LAUNCH(7executeEv)(launch);
  }
  // Whoever started this process may be killed before it can stop it.
  const int parent = atoi(taken("LOCAL_PARENT").c_str());
  local_master = taken("LOCAL_MASTER");
  if (!local_master.empty()) follow_other();
  local_agents = taken("LOCAL_AGENTS");
  agent_environment(0);
  static char no_scheduler[256];
  new mesos::MesosSchedulerDriver((mesos::Scheduler*)no_scheduler, *new mesos::FrameworkInfo(), "local");
  while (!parent || getppid() == parent) sleep(1);
  fprintf(stderr, "mesos-local: process %d is gone, so this one ends\n", parent);
  _exit(1);
}
