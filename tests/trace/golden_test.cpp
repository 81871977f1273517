// Room: tests/trace. The schema written down, version by version: two files, and a list of every group, dataset, type,
// shape, chunk, filter, scale and attribute in them. A change of what is written is a change of the format:
// docs/trace_format.md and the version go with it, and the files of the versions before stay and open.
//
// MNEME_REGENERATE_GOLDEN=1 writes those of the current version anew; review the diff.
#include "places.hpp"
#include "sample.hpp"
#include "trace/hdf5.hpp"
#include "trace/reader.hpp"
#include "trace/sink.hpp"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/core.h>
#include <hdf5.h>

namespace mneme::trace::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> attributes_of(hid_t object) {
  std::vector<std::string> names;
  H5O_info_t about{};
  EXPECT_GE(H5Oget_info(object, &about), 0);
  for (hsize_t i = 0; i < about.num_attrs; ++i) {
    char text[256] = {};
    H5Aget_name_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, text, sizeof text, H5P_DEFAULT);
    names.emplace_back(text);
  }
  return names;
}

std::string attribute_text(hid_t object, const std::string& name) {
  const hid_t a = H5Aopen(object, name.c_str(), H5P_DEFAULT);
  const hid_t type = H5Aget_type(a), space = H5Aget_space(a);
  std::string text;
  if (H5Tget_class(type) == H5T_STRING) {
    const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space));
    const std::size_t size = H5Tget_size(type);
    std::string all(count * size, '\0');
    H5Aread(a, type, all.data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string one = all.substr(i * size, size);
      text += (i ? " \"" : "\"") + one.substr(0, one.find('\0')) + "\"";
    }
    text +=
        H5Tget_cset(type) == H5T_CSET_UTF8 && H5Tget_strpad(type) == H5T_STR_NULLPAD ? "" : " (not null-padded UTF-8)";
  } else {
    long long value = 0;
    H5Aread(a, H5T_NATIVE_LLONG, &value);
    text = fmt::format("{} ({} bytes)", value, H5Tget_size(type));
  }
  H5Sclose(space);
  H5Tclose(type);
  H5Aclose(a);
  return text;
}

std::string describe_attributes(const fs::path& path_of_file, const std::string& path) {
  std::ostringstream out;
  const hid_t file = H5Fopen(path_of_file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t object = H5Oopen(file, path.c_str(), H5P_DEFAULT);
  for (const std::string& name : attributes_of(object)) {
    if (name == "DIMENSION_LIST" || name == "REFERENCE_LIST" || name == "CLASS") continue;
    out << "    @" << name << " = " << attribute_text(object, name) << "\n";
  }
  H5Oclose(object);
  H5Fclose(file);
  return out.str();
}

std::string describe(const fs::path& path) {
  // Two passes: HDF5 refuses to open a file twice with different locking.
  std::vector<std::pair<std::string, std::string>> parts;
  {
    const File f = File::open(path);
    std::vector<std::string> groups = {"/"};
    for (std::size_t i = 0; i < groups.size(); ++i) {
      parts.emplace_back(groups[i], "group " + groups[i] + "\n");
      for (const std::string& name : f.list(groups[i])) {
        const std::string child = (groups[i] == "/" ? "/" : groups[i] + "/") + name;
        if (f.is_group(child)) groups.push_back(child);
      }
    }
    for (const std::string& name : f.datasets()) {
      const DatasetInfo d = f.describe(name);
      std::string dims, chunk, filters;
      for (std::size_t i = 0; i < d.dims.size(); ++i) {
        dims += fmt::format("{}{}", i ? ", " : "", d.unlimited[i] ? "*" : std::to_string(d.dims[i]));
        if (!d.is_scale) dims += "=" + (d.scales[i].empty() ? std::string("?") : d.scales[i]);
      }
      for (std::size_t c : d.chunk) chunk += fmt::format("{}{}", chunk.empty() ? "" : "x", c);
      for (const std::string& x : d.filters) filters += " " + x;
      parts.emplace_back(name, fmt::format("dataset {} {} [{}]{}{}{}\n", name, d.type, dims, d.is_scale ? " scale" : "",
                                           chunk.empty() ? "" : " chunk " + chunk, filters));
    }
  }
  std::string text;
  for (const auto& [object, line] : parts) text += line + describe_attributes(path, object);
  return text;
}

/// One episode of a layout: what every golden file holds.
void make_the_episode(const Layout& layout, Episode& e) {
  make_episode(layout, 1, 10, e);
}

fs::path golden(const std::string& version, const std::string& name, const char* ending) {
  return fs::path(MNEME_SOURCE_DIR) / "tests/trace/golden" / ("schema_" + version + "_" + name + ending);
}

void expect_listing(const fs::path& listing, const std::string& text) {
  std::ifstream in(listing);
  ASSERT_TRUE(in) << listing;
  std::istringstream have(text);
  std::string want, got;
  for (int line = 1;; ++line) {
    const bool more_want = static_cast<bool>(std::getline(in, want));
    const bool more_got = static_cast<bool>(std::getline(have, got));
    if (!more_want && !more_got) break;
    ASSERT_TRUE(more_want && more_got && want == got)
        << listing << ":" << line << "\n  golden: " << (more_want ? want : "(end)")
        << "\n  file:   " << (more_got ? got : "(end)");
  }
}

void expect_golden(const std::string& name, const Layout& layout) {
  Folder folder;
  {
    Sink sink(folder / "run", layout);
    Episode e;
    make_the_episode(layout, e);
    sink.append(e);
    sink.close();
  }
  const fs::path file = folder / "run.000.trace.h5";
  if (std::getenv("MNEME_REGENERATE_GOLDEN")) {
    std::ofstream(golden(kSchemaVersion, name, ".txt")) << describe(file);
    fs::copy_file(file, golden(kSchemaVersion, name, ".trace.h5"), fs::copy_options::overwrite_existing);
    return;
  }
  expect_listing(golden(kSchemaVersion, name, ".txt"), describe(file));
}

/// A file that a released writer wrote: opens, is sound, and gives back what went in.
void expect_opens(const std::string& version, const std::string& name, const Layout& layout) {
  const fs::path file = golden(version, name, ".trace.h5");
  expect_listing(golden(version, name, ".txt"), describe(file));
  const std::vector<std::string> problems = check(file);
  EXPECT_TRUE(problems.empty()) << file << ": " << problems[0];
  const Reader reader(file);
  EXPECT_EQ(reader.version(), version);
  EXPECT_TRUE(reader.complete());
  ASSERT_EQ(reader.episodes(), 1u);
  Episode e;
  make_the_episode(layout, e);
  expect_same(layout, e, reader.layout(), reader.episode(0));
}

std::map<std::string, Layout> layouts_of(const std::string& version) {
  const Layout rich = rich_layout(Level::full);
  Layout everything = version[0] == '1' ? rich : with_schema_2(rich);
  if (version > "2.0.0")  // what the parts were told
    everything.sites[0].site.parts = {"cosine", "top_k", {"interpolate", "shift"}, {{"top_k", 3}, {"other", 5}}};
  return {{"copy_params", ntm_layout(Level::params)}, {"everything_full", everything}};
}

TEST(Golden, TheWriterWritesTheCurrentSchema) {
  for (const auto& [name, layout] : layouts_of(kSchemaVersion)) expect_golden(name, layout);
}
TEST(Golden, FilesOfEveryVersionOpen) {
  for (const char* version : {"1.1.0", "1.1.1", "2.0.0", "2.1.0"})
    for (const auto& [name, layout] : layouts_of(version)) expect_opens(version, name, layout);
}

}  // namespace
}  // namespace mneme::trace::testing
