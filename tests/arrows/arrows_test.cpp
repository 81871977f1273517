// Room: tests. The house's plan, enforced: who may include whom, and where each foreign library lives.
//
// check() is a function of a path and a text, so that the same code that walks the sources is shown to find planted
// violations. A new arrow is one entry in `arrows` and one word in CMakeLists.txt; the last test compares the two.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "places.hpp"

namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

// Direct arrows; what a room may include is everything they lead to.
const std::map<std::string, Names> arrows = {
    {"core", {}},
    {"autodiff", {"core"}},
    {"nn", {"autodiff"}},
    {"attention", {"nn"}},
    {"memory", {"attention"}},
    {"controllers", {"attention"}},
    {"models", {"controllers", "memory"}},
    {"tasks", {"core"}},
    {"pictures", {"core"}},
    {"trace", {"core"}},
    {"replay", {"trace", "memory"}},
    {"experiments", {"models", "tasks", "trace", "pictures"}},
    {"tools", {"experiments", "replay"}},
};

// The sub-folders of a room, one level deep: plug-ins of a kind, one file each, or what serves one purpose.
const std::map<std::string, Names> sub_folders = {
    {"attention", {"scores", "normalizers", "combiners", "schemes"}},
    {"models", {"decode"}},
    {"experiments", {"config", "run", "judge", "exchange", "proving", "compare"}},
    {"replay", {"rules"}},
};

// Tests and benchmarks may reach anything: they have no entry above.
const Names free_folders = {"tests", "benchmarks"};

// Headers that CMake writes into the build tree, and the one file that may include them.
const std::map<std::string, std::string> generated = {
    {"build_config.hpp", "core/build_info.cpp"},
    {"build_revision.hpp", "core/build_info.cpp"},
    {"presets.hpp", "experiments/config/presets.cpp"},
};

Names reach(const std::string& room) {
  Names all = {room};
  for (const std::string& next : arrows.at(room)) all.merge(reach(next));
  return all;
}

struct Foreign {
  std::string name;
  std::regex header;
  std::function<bool(const std::string& room)> allowed;
  std::string where;  // for the message
};

std::function<bool(const std::string&)> only(const Names& rooms) {
  return [rooms](const std::string& room) { return rooms.count(room) > 0; };
}

// First match decides.
const std::vector<Foreign> foreign = {
    {"HDF5", std::regex("^(hdf5|H5)[^/]*\\.h(pp)?$"), only({"trace"}), "trace/"},
    {"Boost.Program_options", std::regex("^boost/program_options"), only({"tools"}), "tools/"},
    {"a geometry library", std::regex("^(boost/(geometry|polygon)|libqhull|CGAL|lemon)"), only({"tasks"}), "tasks/"},
    {"Boost", std::regex("^boost/"), [](const std::string& room) { return !reach("memory").count(room); },
     "tasks/, trace/ and above memory/"},
    {"an index library", std::regex("^(hnswlib|nanoflann|faiss|flann)"), only({"memory"}), "memory/"},
    {"Random123", std::regex("^Random123/"), only({"core"}), "core/ (use its named streams)"},
    {"BLAS", std::regex("^(xtensor-blas/|cblas|lapacke|openblas|f77blas)"),
     [](const std::string& room) { return reach(room).count("autodiff") > 0; }, "autodiff/ and what reaches it"},
    {"JSON", std::regex("^nlohmann/json\\.hpp"), only({"core"}), "core/json.hpp"},
    {"fmt's own code", std::regex("^fmt/(?!core\\.h)"), only({}),
     "its library: take <fmt/core.h>, core/join.hpp for lists"},
    {"GoogleTest", std::regex("^(gtest|gmock)/"), only({}), "tests/"},
    {"Google Benchmark", std::regex("^benchmark/"), only({}), "benchmarks/"},
};

std::string folder_of(const std::string& path) {
  return path.substr(0, path.find('/'));
}
/// A file of a room lies in it or in one of its named sub-folders.
bool has_a_place(const std::string& path, const std::string& room) {
  const fs::path folder = fs::path(path).parent_path();
  if (folder == room) return true;
  const auto named = sub_folders.find(room);
  return named != sub_folders.end() && folder.parent_path() == room && named->second.count(folder.filename()) > 0;
}
bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// What is wrong with the file `path` (from the root of the tree) that says `text`; each as "path:line: what".
std::vector<std::string> check(const std::string& path, const std::string& text) {
  static const std::regex include("^\\s*#\\s*include\\s*([\"<])([^\">]+)[\">].*");
  std::vector<std::string> wrong;
  const std::string room = folder_of(path);
  const bool may_reach_anything = free_folders.count(room) > 0;
  if (!may_reach_anything && !arrows.count(room)) return {path + ":1: '" + room + "' is no room of the house"};

  std::istringstream lines(text);
  std::string line;
  bool once = false;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto report = [&](const std::string& what) {
      wrong.push_back(path + ":" + std::to_string(number) + ": " + what);
    };
    if (number == 1 && ends_with(path, ".hpp") && line.rfind("// Room: " + room + ". ", 0) != 0) {
      report("a header's first line says which room one is in: '// Room: " + room + ". What it is for'");
    }
    once = once || line == "#pragma once";

    std::smatch match;
    if (may_reach_anything || !std::regex_match(line, match, include)) continue;
    const bool quoted = match[1] == "\"";
    const std::string header = match[2];
    const std::string target = folder_of(header);
    if (arrows.count(target) && target != header) {
      if (!reach(room).count(target)) report(room + "/ includes \"" + header + "\" against the arrows");
    } else if (free_folders.count(target)) {
      report(room + "/ includes \"" + header + "\": nothing depends on " + target + "/");
    } else if (quoted) {
      const auto made = generated.find(header);
      if (made == generated.end() || made->second != path) {
        report("\"" + header + "\" is none of ours: write \"room/file.hpp\" for ours, <...> for others'");
      }
    }
    for (const Foreign& library : foreign) {
      if (!std::regex_search(header, library.header)) continue;
      if (!library.allowed(room)) report(library.name + " (<" + header + ">) lives in " + library.where);
      break;
    }
  }
  if (ends_with(path, ".hpp") && !once) wrong.push_back(path + ":1: no #pragma once");
  if (!may_reach_anything && !has_a_place(path, room)) {
    wrong.push_back(path + ":1: " + fs::path(path).parent_path().string() +
                    " is no sub-folder named in the house's plan");
  }
  return wrong;
}

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string header(const std::string& room, const std::string& rest) {
  return "// Room: " + room + ". A test.\n#pragma once\n" + rest;
}

TEST(Arrows, EverySourceFileKeepsThem) {
  const fs::path root = MNEME_SOURCE_DIR;
  Names folders = free_folders;
  for (const auto& [room, below] : arrows) folders.insert(room);
  int files = 0;
  for (const std::string& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string path = entry.path().lexically_relative(root).generic_string();
      if (!entry.is_regular_file() || !(ends_with(path, ".hpp") || ends_with(path, ".cpp"))) continue;
      ++files;
      for (const std::string& wrong : check(path, read(entry.path()))) ADD_FAILURE() << wrong;
    }
  }
  EXPECT_GT(files, 5) << "in " << root << ": is MNEME_SOURCE_DIR the source tree?";
}

TEST(Arrows, HoldTransitively) {
  EXPECT_EQ(check("models/a.cpp", "#include \"core/error.hpp\"\n").size(), 0u);
  EXPECT_EQ(check("memory/a.cpp", "#include \"autodiff/tape.hpp\"\n#include <vector>\n").size(), 0u);
  EXPECT_EQ(check("tools/a.cpp", "#include \"memory/ntm.hpp\"\n").size(), 0u);
  EXPECT_EQ(check("replay/a.cpp", "#include \"trace/reader.hpp\"\n").size(), 0u);
  EXPECT_EQ(check("tests/core/a.cpp", "#include \"tools/main.hpp\"\n#include <hdf5.h>\n").size(), 0u);
}

TEST(Arrows, PlantedIncludesAreFound) {
  const std::map<std::string, std::string> planted = {
      {"core/a.cpp", "autodiff/tape.hpp"},        {"autodiff/a.cpp", "nn/linear.hpp"},
      {"attention/a.cpp", "memory/memory.hpp"},   {"memory/a.cpp", "trace/sink.hpp"},
      {"memory/b.cpp", "controllers/lstm.hpp"},   {"controllers/a.cpp", "memory/ntm.hpp"},
      {"models/a.cpp", "tasks/copy.hpp"},         {"tasks/a.cpp", "models/cell.hpp"},
      {"trace/a.cpp", "memory/memory.hpp"},       {"replay/a.cpp", "models/cell.hpp"},
      {"experiments/a.cpp", "replay/verify.hpp"}, {"experiments/b.cpp", "tools/table.hpp"},
      {"nn/a.cpp", "tests/support/close.hpp"},
  };
  for (const auto& [path, target] : planted) {
    for (const std::string& form : {"#include \"" + target + "\"", "  #  include <" + target + ">  // why"}) {
      const auto wrong = check(path, "// one\n" + form + "\n");
      ASSERT_EQ(wrong.size(), 1u) << path << " " << form;
      EXPECT_EQ(wrong[0].rfind(path + ":2: ", 0), 0u) << wrong[0];
      EXPECT_NE(wrong[0].find(target), std::string::npos) << wrong[0];
    }
    EXPECT_EQ(check(path, "// #include \"" + target + "\"\n").size(), 0u) << "a comment is no include";
  }
}

TEST(Arrows, PlantedForeignLibrariesAreFound) {
  const std::map<std::string, std::string> planted = {
      {"memory/a.cpp", "hdf5.h"},
      {"replay/a.cpp", "H5Cpp.h"},
      {"experiments/a.cpp", "hdf5_hl.h"},
      {"experiments/b.cpp", "boost/program_options.hpp"},
      {"core/a.cpp", "boost/optional.hpp"},
      {"models/a.cpp", "boost/geometry.hpp"},
      {"tasks/a.cpp", "xtensor-blas/xlinalg.hpp"},
      {"trace/a.cpp", "cblas.h"},
      {"attention/a.cpp", "hnswlib/hnswlib.h"},
      {"tasks/b.cpp", "Random123/philox.h"},
      {"tools/a.cpp", "nlohmann/json.hpp"},
      {"memory/b.cpp", "fmt/ranges.h"},
      {"nn/a.cpp", "gtest/gtest.h"},
      {"nn/b.cpp", "benchmark/benchmark.h"},
  };
  for (const auto& [path, target] : planted) {
    const auto wrong = check(path, "#include <" + target + ">\n");
    ASSERT_EQ(wrong.size(), 1u) << path << " " << target;
    EXPECT_NE(wrong[0].find("lives in"), std::string::npos) << wrong[0];
  }
  const std::map<std::string, std::string> at_home = {
      {"trace/a.cpp", "hdf5.h"},
      {"tools/a.cpp", "boost/program_options.hpp"},
      {"tasks/a.cpp", "boost/geometry.hpp"},
      {"autodiff/a.cpp", "xtensor-blas/xlinalg.hpp"},
      {"core/a.cpp", "Random123/philox.h"},
      {"core/b.cpp", "xtensor/xtensor.hpp"},
      {"core/c.cpp", "nlohmann/json.hpp"},
      {"tools/b.cpp", "fmt/core.h"},
  };
  for (const auto& [path, target] : at_home) {
    EXPECT_EQ(check(path, "#include <" + target + ">\n").size(), 0u) << path << " " << target;
  }
}

TEST(Arrows, HeadersSayWhereOneIs) {
  EXPECT_EQ(check("nn/a.hpp", header("nn", "")).size(), 0u);
  EXPECT_EQ(check("nn/a.hpp", header("autodiff", "")).size(), 1u) << "moved from another room";
  EXPECT_EQ(check("nn/a.hpp", "// Room: nn. A test.\n").size(), 1u) << "no #pragma once";
  EXPECT_EQ(check("nn/a.hpp", "#pragma once\n// Room: nn. A test.\n").size(), 1u) << "not the first line";
  EXPECT_EQ(check("tests/support/a.hpp", header("tests", "")).size(), 0u);
  EXPECT_EQ(check("nn/a.cpp", "int a;\n").size(), 0u);
}

TEST(Arrows, FilesThatNobodyWouldFind) {
  EXPECT_EQ(check("nn/a.cpp", "#include \"a.hpp\"\n").size(), 1u) << "not written from the root";
  EXPECT_EQ(check("nn/a.cpp", "#include \"../core/error.hpp\"\n").size(), 1u);
  EXPECT_EQ(check("core/build_info.cpp", "#include \"build_config.hpp\"\n").size(), 0u);
  EXPECT_EQ(check("core/other.cpp", "#include \"build_config.hpp\"\n").size(), 1u);
  EXPECT_EQ(check("nn/deeper/a.cpp", "int a;\n").size(), 1u) << "no such sub-folder";
  EXPECT_EQ(check("attention/scores/a.cpp", "int a;\n").size(), 0u);
  EXPECT_EQ(check("attention/scores/deeper/a.cpp", "int a;\n").size(), 1u) << "one level only";
  EXPECT_EQ(check("nn/scores/a.cpp", "int a;\n").size(), 1u) << "another room's";
  EXPECT_EQ(check("attention/scores/a.cpp", "#include \"memory/memory.hpp\"\n").size(), 1u);
  EXPECT_EQ(check("utils/a.cpp", "int a;\n").size(), 1u) << "no such room";
}

// mneme_room(models PLUGINS mneme::controllers mneme::memory) is the arrow models -> controllers, memory.
TEST(Arrows, AreTheLinkLinesOfCMake) {
  const std::string text = read(fs::path(MNEME_SOURCE_DIR) / "CMakeLists.txt");
  const std::regex room("\\n\\s*mneme_room\\((\\w+)\\s+\\w+([^)]*)\\)");
  const std::regex link("mneme::(\\w+)");
  std::map<std::string, Names> linked = {{"tools", {}}};
  for (std::sregex_iterator it(text.begin(), text.end(), room), end; it != end; ++it) {
    const std::string rest = (*it)[2];
    Names& below = linked[(*it)[1]];
    for (std::sregex_iterator to(rest.begin(), rest.end(), link); to != end; ++to) below.insert((*to)[1]);
  }
  std::smatch program;
  ASSERT_TRUE(std::regex_search(text, program, std::regex("target_link_libraries\\(mneme PRIVATE([^)]*)\\)")));
  const std::string rest = program[1];
  for (std::sregex_iterator to(rest.begin(), rest.end(), link), end; to != end; ++to) linked["tools"].insert((*to)[1]);
  EXPECT_EQ(linked, arrows);
}

}  // namespace
