// Room: tools. fork, exec, wait.
#include "tools/subprocess.hpp"

#include "core/error.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace mneme::tools {

std::optional<Finished> run_program(const std::vector<std::string>& words, const std::filesystem::path& folder) {
  constexpr int not_found = 127;
  int ends[2];
  if (::pipe(ends) != 0) fail<RuntimeFailure>(words.at(0), "cannot be started: {}", std::strerror(errno));
  std::vector<char*> argv;
  for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  const std::string where = folder.string();

  const pid_t child = ::fork();
  if (child < 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    fail<RuntimeFailure>(words[0], "cannot be started: {}", std::strerror(errno));
  }
  if (child == 0) {
    std::signal(SIGPIPE, SIG_DFL);
    if (!where.empty() && ::chdir(where.c_str()) != 0) ::_exit(126);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::execvp(argv[0], argv.data());
    ::_exit(errno == ENOENT ? not_found : 126);
  }
  ::close(ends[1]);
  Finished result;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (result.output.size() < 65536) result.output.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (result.status == not_found) return std::nullopt;
  return result;
}

}  // namespace mneme::tools
