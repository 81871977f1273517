// Room: tests. Completion in real shells, and the manual page in real formatters; a shell that is missing is said.
#include "places.hpp"
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

namespace mneme::tools_test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool there_is(const std::string& program) {
  return std::system(("command -v " + program + " > /dev/null 2>&1").c_str()) == 0;
}

/// Standard output of a script in `shell`, which finds the program under test as `mneme`.
std::string output_of(const std::string& shell, const std::string& script, const fs::path& folder) {
  std::ofstream(folder / "script") << script;
  const std::string command = "cd '" + folder.string() + "' && PATH='" +
                              fs::path(MNEME_PROGRAM).parent_path().string() + "':$PATH " + shell + " ./script 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string text;
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  ::pclose(pipe);
  return text;
}

/// What bash offers for these words, of which the last is being typed; a line each.
std::string bash_offers(const std::string& words, const fs::path& folder) {
  return output_of(
      "bash --norc",
      "source <(mneme completion bash)\nCOMP_WORDS=(mneme " + words +
          ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_mneme 2> /dev/null\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n",
      folder);
}

TEST(Completion, BashKnowsCommandsFlagsPresetsAndValues) {
  if (!there_is("bash")) GTEST_SKIP() << "no bash here";
  const Scratch folder;
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"tr", "train\ntrace\n"},
      {"trace re", "render\nrepair\n"},
      {"train copy_ntm_ff_", "copy_ntm_ff_b16\ncopy_ntm_ff_b4\n"},
      {"train copy_ntm --memory.sl", "--memory.slots\n"},
      {"train copy_ntm --mem", "--memory\n"},
      {"train --task copy --controller ls", "lstm\n"},
      {"train copy_ntm --trace.level w", "weights\n"},
      {"train copy_ntm --trace.level = w", "weights\n"},
      {"train copy_ntm --max-", "--max-sequences\n"},
      {"trace render --palette v", "viridis\n"},
      {"reproduce babi-1", "babi-1k\n"},
      {"completion z", "zsh\n"},
      {"help trace ex", "export\n"},
      {"nothing_like_it x", "\n"}};
  for (const auto& [words, offers] : expected) {
    const std::string offered = bash_offers(words, folder.path());
    if (words == "train copy_ntm --mem") {
      EXPECT_TRUE(contains(offered, offers)) << offered;
      EXPECT_FALSE(contains(offered, "hops")) << "a key of another memory: " << offered;
    } else {
      EXPECT_EQ(offered, offers) << words;
    }
  }
}

TEST(Completion, RunsThatAreThere) {
  if (!there_is("bash")) GTEST_SKIP() << "no bash here";
  const Scratch folder;
  const auto make_run = [&](const std::string& name) {
    fs::create_directories(folder / "runs" / name / "checkpoints");
    std::ofstream(folder / "runs" / name / "config.ini") << "task = copy\n";
  };
  make_run("first");
  EXPECT_EQ(bash_offers("eval ru", folder.path()), "runs/first\n");
  EXPECT_EQ(bash_offers("train --resume ru", folder.path()), "runs/first\n");
  // What bash inserts is one word, whatever a folder is called.
  make_run("a$(touch PWNED) b");
  EXPECT_EQ(bash_offers("eval runs/a", folder.path()), "runs/a\\$\\(touch\\ PWNED\\)\\ b\n");
  EXPECT_FALSE(fs::exists(folder / "PWNED"));
}

TEST(Completion, TheScriptsOfZshAndFishAreSound) {
  const Scratch folder;
  for (const std::string shell : {"zsh", "fish"}) {
    if (!there_is(shell)) {
      std::printf("[ NOTE     ] no %s here\n", shell.c_str());
      continue;
    }
    std::ofstream(folder / shell) << mneme({"completion", shell}).out;
    EXPECT_EQ(output_of(shell + " -n", read_file(folder / shell), folder.path()), "") << shell;
  }
  if (there_is("fish")) {
    const std::string offered =
        output_of("fish --no-config", "mneme completion fish | source\ncomplete -C 'mneme trace re'\n", folder.path());
    EXPECT_TRUE(contains(offered, "render\t")) << offered;
    EXPECT_TRUE(contains(offered, "repair\t")) << offered;
    const std::string level =
        output_of("fish --no-config", "mneme completion fish | source\ncomplete -C 'mneme train copy_ntm --memory=n'\n",
                  folder.path());
    EXPECT_TRUE(contains(level, "--memory=ntm")) << level;
  }
  EXPECT_EQ(mneme({"completion", "csh"}).code, 2);
}

TEST(Install, PutsManualAndCompletionsWhereTheyAreLookedFor) {
  if (!there_is("cmake")) GTEST_SKIP() << "no cmake here";
  const Scratch folder;
  const std::string said = output_of(
      "bash", "cmake --install '" + fs::path(MNEME_PROGRAM).parent_path().string() + "' --prefix \"$PWD/usr\"",
      folder.path());
  for (const char* file : {"bin/mneme", "share/man/man1/mneme.1", "share/bash-completion/completions/mneme",
                           "share/zsh/site-functions/_mneme", "share/fish/vendor_completions.d/mneme.fish"})
    EXPECT_GT(read_file(folder / "usr" / file).size(), 100u) << file << "\n" << said;
}

TEST(Manual, SaysEveryCommandFlagAndKey) {
  const std::string page = mneme({"man"}).out;
  for (const char* said : {"mneme trace render", "\\-\\-max\\-sequences", "\\-\\-memory.slots", "\\-\\-trace.level",
                           ".SH EXIT STATUS", "MNEME_CONFIGS"})
    EXPECT_TRUE(contains(page, said)) << said;
}

TEST(Manual, FormattersTakeIt) {
  const Scratch folder;
  const std::string page = mneme({"man"}).out;
  std::ofstream(folder / "mneme.1") << page;
  bool asked = false;
  if (there_is("mandoc")) {
    asked = true;
    EXPECT_EQ(output_of("bash", "mandoc -T lint -W warning mneme.1 | grep -v 'missing date'", folder.path()), "");
  }
  if (there_is("groff")) {
    asked = true;
    EXPECT_EQ(output_of("bash", "groff -man -ww -Tutf8 -z mneme.1", folder.path()), "");
  }
  if (there_is("man")) {
    asked = true;
    const std::string text = output_of("bash", "MANWIDTH=80 man -l ./mneme.1 | cat", folder.path());
    EXPECT_TRUE(contains(text, "EXIT STATUS")) << text.substr(0, 300);
  }
  if (!asked) GTEST_SKIP() << "no mandoc, groff or man here";
}

}  // namespace
}  // namespace mneme::tools_test
