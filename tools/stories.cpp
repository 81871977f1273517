// Room: tools. `mneme stories`: the stories that the task babi makes up, as files of the published format.
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "tasks/babi_format.hpp"
#include "tasks/babi_worlds.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/terminal.hpp"
#include "trace/atomic_file.hpp"

#include <filesystem>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

const std::string kPrefix = "--task.";

int run(const Arguments& a) {
  const fs::path directory = a.positional[0];
  const Range number = a.options.range("--task.number");
  const auto path = [&](std::int64_t n, const char* part) {
    return directory / babi::own_file(static_cast<int>(n), part);
  };
  for (std::int64_t n = number.low; n <= number.high; ++n)
    for (const char* part : {"train", "test"}) trace::expect_free(path(n, part), a.has("--force"));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    for (std::int64_t n = number.low; n <= number.high; ++n)
      for (const char* part : {"train", "test"})
        if (entry.path() != path(n, part) && name.starts_with(fmt::format("qa{}_", n)) &&
            name.ends_with(fmt::format("_{}.txt", part)))
          fail<ArgumentError>(entry.path().string(),
                              "is of task {} too, so task.data would find two files; nothing was written", n);
  }
  fs::create_directories(directory, error);
  if (error) fail<RuntimeFailure>(directory.string(), "cannot be made: {}", error.message());

  Progress bar;
  auto files = Json::array();
  const auto tasks = static_cast<std::size_t>(number.high - number.low + 1);
  for (std::int64_t n = number.low; n <= number.high; ++n) {
    stop_if_signalled();
    bar.show(static_cast<std::size_t>(n - number.low), tasks, "tasks");
    for (const char* part : {"train", "test"}) {
      const babi::Stories stories = babi::tell(static_cast<int>(n), a.options, part, kPrefix);
      trace::write_text_atomically(path(n, part), stories.text());
      files.push_back(path(n, part).string());
    }
  }
  Progress::clear();
  if (a.json())
    print("{}\n", json_text(Json{{"files", files}}, 2));
  else
    for (const auto& file : files) print("{}\n", file.get<std::string>());
  note(fmt::format("next: mneme train babi_memn2n_single --task.data {} --task.number {}",
                   shell_path(directory.string()), number.low));
  return kOk;
}

}  // namespace

Command stories_command() {
  Command c;
  c.name = "stories";
  c.summary = "write bAbI stories of our own making as files of the published format";
  c.parameters = "DIR";
  c.examples = {{"stories mine", "all 20 kinds, 1,000 questions to learn from and 1,000 to be asked"},
                {"stories hard --task.number 2 --task.pace 3 --task.actors 8", "longer stories, more people"}};
  c.flags.range("--task.number", {1, babi::kTasks}, 1, babi::kTasks, "kinds of task", "all");
  babi::declare_stories(c.flags, kPrefix)
      .flag("--force", false, "replace files that are there")
      .flag("--json", false, "the files as JSON on stdout");
  c.values = {{"--task.number", "A:B"}};
  c.notes =
      "The same stories as the task babi without task.data. Files that exist are not touched, and a folder that\nholds "
      "others of the same tasks is refused: task.data wants one of each.";
  c.heeds_signals = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
