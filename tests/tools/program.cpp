// Room: tests. Processes, pipes and pseudo terminals.
#include "tests/tools/program.hpp"
#include "places.hpp"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <termios.h>

namespace mneme::tools_test {

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void become(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment) {
  ::unsetenv("NO_COLOR");
  ::unsetenv("MNEME_CONFIGS");
  for (const auto& [name, value] : environment) {
    if (value.empty())
      ::unsetenv(name.c_str());
    else
      ::setenv(name.c_str(), value.c_str(), 1);
  }
  std::vector<char*> argv = {const_cast<char*>(MNEME_PROGRAM)};
  for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(126);
}

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// Ends the running test as skipped.
[[noreturn]] void skip(const char* why) {
  using ::testing::TestPartResult;
  GTEST_MESSAGE_AT_(__FILE__, __LINE__, why, TestPartResult::kSkip);
  throw ::testing::AssertionException(TestPartResult(TestPartResult::kSkip, __FILE__, __LINE__, why));
}

void drain(int from, std::string& into) {
  char buffer[65536];
  for (ssize_t n; (n = ::read(from, buffer, sizeof buffer)) > 0;) into.append(buffer, static_cast<std::size_t>(n));
}

}  // namespace

Result mneme(const std::vector<std::string>& words, const Setting& setting) {
  int out[2], err[2];
  if (::pipe(out) != 0 || ::pipe(err) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    if (!setting.folder.empty() && ::chdir(setting.folder.c_str()) != 0) ::_exit(125);
    const int to = setting.stdout_to.empty() ? out[1] : ::open(setting.stdout_to.c_str(), O_WRONLY);
    if (setting.stdout_closed) ::close(out[0]);
    ::dup2(to, STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    for (int fd : {out[0], out[1], err[0], err[1]}) ::close(fd);
    constexpr unsigned nobody = 65534;
    if (setting.as_nobody && ::geteuid() == 0 && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) ::_exit(124);
    if (setting.ignored) ::signal(setting.ignored, SIG_IGN);
    const rlimit room{setting.address_space, setting.address_space};
    if (setting.address_space) ::setrlimit(RLIMIT_AS, &room);
    become(words, setting.environment);
  }
  ::close(out[1]);
  ::close(err[1]);
  if (setting.stdout_closed) ::close(out[0]);
  Result result;
  if (!setting.stdout_closed) ::fcntl(out[0], F_SETFL, O_NONBLOCK);
  ::fcntl(err[0], F_SETFL, O_NONBLOCK);
  const Clock::time_point begin = Clock::now();
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (!setting.stdout_closed) drain(out[0], result.out);
    drain(err[0], result.err);
    if (setting.meanwhile) setting.meanwhile(child);
    if (Clock::now() - begin > setting.patience) ::kill(child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (!setting.stdout_closed) {
    drain(out[0], result.out);
    ::close(out[0]);
  }
  drain(err[0], result.err);
  ::close(err[0]);
  result.code = code_of(status);
  return result;
}

Result mneme_in_terminal(const std::vector<std::string>& words, const std::vector<std::string>& keys,
                         Terminal& terminal) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(terminal.rows);
  size.ws_col = static_cast<unsigned short>(terminal.columns);
  int master = -1, slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, &size) != 0) skip("there are no pseudo terminals here");
  termios before{}, after{};
  ::tcgetattr(slave, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(master);
    ::setsid();
    ::ioctl(slave, TIOCSCTTY, 0);
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(slave, fd);
    auto environment = terminal.environment;
    environment.emplace("TERM", "xterm-256color");
    become(words, environment);
  }
  ::fcntl(master, F_SETFL, O_NONBLOCK);
  Result result;
  // Until nothing has come for a while after something has.
  const auto rest = [&](int patience) {
    const std::size_t had = result.out.size();
    for (int quiet = 0, waited = 0; quiet < 8 && waited < patience; ++waited) {
      const std::size_t size_before = result.out.size();
      drain(master, result.out);
      quiet = result.out.size() > size_before || result.out.size() == had ? 0 : quiet + 1;
      int status = 0;
      if (::waitid(P_PID, static_cast<id_t>(child), nullptr, WEXITED | WNOHANG | WNOWAIT) != 0) break;
      (void)status;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  rest(2000);
  for (const std::string& key : keys) {
    if (::write(master, key.data(), key.size()) < 0) break;
    rest(60);
  }
  if (terminal.end) terminal.end(child);
  int status = 0;
  const Clock::time_point begin = Clock::now();
  while (::waitpid(child, &status, WNOHANG) == 0) {
    drain(master, result.out);
    if (Clock::now() - begin > std::chrono::seconds(20)) ::kill(child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  drain(master, result.out);
  ::tcgetattr(slave, &after);
  terminal.restored = before.c_lflag == after.c_lflag && before.c_iflag == after.c_iflag &&
                      std::memcmp(before.c_cc, after.c_cc, sizeof before.c_cc) == 0;
  ::close(slave);
  ::close(master);
  result.code = code_of(status);
  return result;
}

Scratch::Scratch() {
  std::string pattern = (fs::temp_directory_path() / "mneme_tools_XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("no folder for the test");
  path_ = pattern;
}

Scratch::~Scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::string> tiny(const fs::path& folder, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"train",
                                    "copy_ntm",
                                    "--out",
                                    folder.string(),
                                    "--task.width=4",
                                    "--task.length=3:6",
                                    "--memory.slots=12",
                                    "--memory.width=6",
                                    "--controller.hidden=12",
                                    "--train.eval-episodes=4",
                                    "--train.eval-every=30",
                                    "--train.log-every=10",
                                    "--trace.level=full",
                                    "--trace.every=10"};
  bool limited = false;
  for (const std::string& w : more) limited |= w.find("max-sequences") != std::string::npos;
  if (!limited) words.push_back("--max-sequences=60");
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

const fs::path& tiny_run() {
  static const Scratch folder;
  static const fs::path run = [] {
    const fs::path path = folder / "run";
    const Result r = mneme(tiny(path));
    EXPECT_EQ(r.code, 0) << r.err;
    return path;
  }();
  return run;
}

std::string read_file(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace mneme::tools_test
