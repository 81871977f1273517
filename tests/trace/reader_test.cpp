// Room: tests/trace. Files that are not what they should be: a sentence that names the file, never a crash. And what
// `trace check`, `info`, `show`, `export` and `repair` say about those that are.
#include "trace/reader.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "sample.hpp"
#include "trace/hdf5.hpp"
#include "trace/sink.hpp"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>

#include <fmt/core.h>

#include <hdf5.h>
#include <hdf5_hl.h>

namespace mneme::trace::testing {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Malformed : public ::testing::Test {
 protected:
  void SetUp() override {
    layout = rich_layout();
    Sink sink(folder / "good", layout);
    Episode e;
    for (std::size_t i = 0; i < 8; ++i) {
      make_episode(layout, i, steps_of(i), e);
      sink.append(e);
    }
    sink.close();
    good = folder / "good.000.trace.h5";
    bad = folder / "bad.trace.h5";
    fs::copy_file(good, bad);
  }

  /// Changes the bad file through HDF5 itself.
  void edit(const std::function<void(hid_t)>& change) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    fs::copy_file(good, bad, fs::copy_options::overwrite_existing);
    const hid_t file = H5Fopen(bad.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    change(file);
    H5Fclose(file);
  }

  /// One number of a dataset, by its flat index.
  void set(const std::string& dataset, std::size_t index, double value) {
    edit([&](hid_t file) {
      const hid_t d = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
      const hid_t space = H5Dget_space(d);
      std::vector<double> all(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
      H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data());
      ASSERT_LT(index, all.size());
      all[index] = value;
      H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data());
      H5Sclose(space);
      H5Dclose(d);
    });
  }

  void set_text(const std::string& object, const std::string& name, const std::string& text) {
    edit([&](hid_t file) {
      const hid_t o = H5Oopen(file, object.c_str(), H5P_DEFAULT);
      H5Adelete(o, name.c_str());
      const hid_t type = H5Tcopy(H5T_C_S1);
      H5Tset_size(type, text.size());
      const hid_t space = H5Screate(H5S_SCALAR);
      const hid_t a = H5Acreate2(o, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
      H5Awrite(a, type, text.data());
      H5Aclose(a);
      H5Sclose(space);
      H5Tclose(type);
      H5Oclose(o);
    });
  }

  /// What the reader says; reads everything. "" = nothing wrong.
  static std::string complaint(const fs::path& path) {
    try {
      const Reader reader(path);
      Episode e;
      for (std::size_t i = 0; i < reader.episodes(); ++i) reader.episode(i, e);
      return "";
    } catch (const FileError& e) {
      EXPECT_TRUE(contains(e.what(), path.string())) << e.what();
      return e.what();
    }
  }

  static std::vector<std::string> problems(const fs::path& path) {
    try {
      return check(path);
    } catch (const FileError& e) {
      EXPECT_TRUE(contains(e.what(), path.string())) << e.what();
      return {e.what()};
    }
  }

  void expect_problem(const std::string& text) {
    std::string all;
    for (const std::string& p : problems(bad)) {
      if (contains(p, text)) return;
      all += "\n  " + p;
    }
    ADD_FAILURE() << "no problem contains: " << text << "\nthere are:" << all;
  }

  Folder folder;
  Layout layout;
  fs::path good, bad;
};

TEST_F(Malformed, TheGoodOneIsGood) {
  EXPECT_EQ(complaint(good), "");
  EXPECT_TRUE(problems(good).empty());
}

TEST_F(Malformed, TruncatedAnywhere) {
  const std::string bytes = bytes_of(good);
  std::vector<std::size_t> lengths = {0, 1, 7, 8, 9, 50, 95, 96, 97, 100, 1000, bytes.size() - 1};
  for (std::size_t n = 0; n < bytes.size(); n += bytes.size() / 97) lengths.push_back(n);
  for (std::size_t n : lengths) {
    write_bytes(bad, bytes.substr(0, n));
    const std::string text = complaint(bad);
    EXPECT_TRUE(contains(text, "truncated") || contains(text, "not an HDF5 file")) << n << ": " << text;
    EXPECT_FALSE(problems(bad).empty());
  }
}

TEST_F(Malformed, Foreign) {
  write_bytes(bad, "PK\x03\x04 a zip archive");
  EXPECT_TRUE(contains(complaint(bad), "is not an HDF5 file (18 bytes)"));
  write_bytes(bad, "");
  EXPECT_TRUE(contains(complaint(bad), "is not an HDF5 file (0 bytes)"));
  fs::remove(bad);
  EXPECT_TRUE(contains(complaint(bad), "No such file"));
  fs::create_directory(bad);
  EXPECT_TRUE(contains(complaint(bad), "is not a file"));
  fs::remove(bad);
  {
    File file = File::create(bad);
    file.write("/weights", 1.0);
    file.close();
  }
  EXPECT_EQ(complaint(bad),
            "[" + bad.string() + "] is not a mneme trace (an HDF5 file without the attribute format=\"mneme-trace\")");
}

TEST_F(Malformed, NewerAndOlderSchemas) {
  set_text("/", "schema_version", "3.0.0");
  EXPECT_EQ(complaint(bad),
            "[" + bad.string() +
                "] has schema version 3.0.0, newer than the 2.1.0 that this program reads: use a newer mneme");
  set_text("/", "schema_version", "2.7.3");
  EXPECT_EQ(complaint(bad), "");
  EXPECT_EQ(Reader(bad).version(), "2.7.3");
  set_text("/", "schema_version", "one");
  EXPECT_TRUE(contains(complaint(bad), "schema version \"one\" makes no sense"));
}

TEST_F(Malformed, UnknownObjectsAreIgnored) {
  edit([](hid_t file) {
    const hid_t g = H5Gcreate2(file, "/later", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(g);
  });
  EXPECT_EQ(complaint(bad), "");
  EXPECT_TRUE(problems(bad).empty());
}

TEST_F(Malformed, EveryDatasetMissing) {
  // What only makes sense together, or describes, may be gone without the reader noticing; `check` notices most.
  const std::set<std::string> optional = {"/meta/schema_doc", "/meta/vocab", "/meta/classes"};
  for (const std::string& name : File::open(good).datasets()) {
    edit([&](hid_t file) { H5Ldelete(file, name.c_str(), H5P_DEFAULT); });
    const std::string text = complaint(bad);
    const bool scale = name.find('/', 1) == std::string::npos;
    if (!optional.count(name) && !scale && !contains(name, "/io/") && !contains(name, "/items/")) {
      EXPECT_TRUE(contains(text, name)) << name << " is missing, but: " << text;
    }
    problems(bad);  // whatever it says, it returns
  }
}

TEST_F(Malformed, EveryAttributeMissing) {
  for (const char* object : {"/", "/memory", "/sites", "/sites/read_0", "/episodes", "/sites/read_0/key"}) {
    std::vector<std::string> names;
    edit([&](hid_t file) {
      const hid_t o = H5Oopen(file, object, H5P_DEFAULT);
      for (hsize_t i = 0;; ++i) {
        char text[256];
        if (H5Aget_name_by_idx(o, ".", H5_INDEX_NAME, H5_ITER_INC, i, text, sizeof text, H5P_DEFAULT) < 0) break;
        names.emplace_back(text);
      }
      H5Oclose(o);
    });
    ASSERT_GT(names.size(), 2u) << object;
    for (const std::string& name : names) {
      edit([&](hid_t file) { H5Adelete_by_name(file, object, name.c_str(), H5P_DEFAULT); });
      complaint(bad);
      problems(bad);
    }
  }
  set_text("/", "trace_level", "everything");
  EXPECT_TRUE(contains(complaint(bad), "unknown level \"everything\""));
  set_text("/sites/read_0/key", "kind", "sharp");
  EXPECT_TRUE(contains(complaint(bad), "dataset /sites/read_0/key: unknown kind \"sharp\""));
  set_text("/sites/read_0", "encoding_type", "topk");
  EXPECT_TRUE(contains(complaint(bad), "site read_0 is encoded as \"topk\"; this version reads dense"));
  set_text("/sites", "order", "read_0,nowhere");
  EXPECT_TRUE(contains(complaint(bad), "nowhere"));
}

TEST_F(Malformed, WrongShapesAndTypes) {
  const auto replace = [&](const std::string& name, hid_t type, std::vector<hsize_t> dims) {
    edit([&](hid_t file) {
      H5Ldelete(file, name.c_str(), H5P_DEFAULT);
      const hid_t space =
          dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
      const hid_t d = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      H5Dclose(d);
      H5Sclose(space);
    });
  };
  const Dims shape = File::open(good).dims("/sites/read_0/weights");
  replace("/sites/read_0/weights", H5T_IEEE_F32LE, {shape[0], shape[1] + 1});
  EXPECT_TRUE(contains(complaint(bad), "/sites/read_0/weights"));
  replace("/sites/read_0/entropy", H5T_IEEE_F32LE, {shape[0], 2});
  EXPECT_TRUE(contains(complaint(bad), "dataset /sites/read_0/entropy has shape"));
  replace("/io/mask", H5T_IEEE_F32LE, {shape[0]});
  EXPECT_TRUE(contains(complaint(bad), "dataset /io/mask holds f32, expected u8"));
  replace("/episodes/step_begin", H5T_STD_I64LE, {});
  EXPECT_TRUE(contains(complaint(bad), "/episodes/step_begin"));
  replace("/meta/config_ini", H5T_STD_I64LE, {});
  EXPECT_TRUE(contains(complaint(bad), "dataset /meta/config_ini is not one readable text"));
  replace("/meta/complete", H5T_STD_U8LE, {3});
  EXPECT_TRUE(contains(complaint(bad), "dataset /meta/complete is not one number"));
  replace("/io", H5T_STD_U8LE, {3});
  EXPECT_TRUE(contains(complaint(bad), "group /io is missing"));
  // More rows than the file can hold: refused before memory is asked for.
  replace("/sites/read_0/weights", H5T_IEEE_F32LE, {hsize_t{1} << 40, shape[1]});
  complaint(bad);
  expect_problem("/sites/read_0/weights");
}

TEST_F(Malformed, ImpossibleEpisodes) {
  set("/episodes/step_count", 3, 1e6);
  EXPECT_TRUE(contains(complaint(bad), "dataset /episodes: episode 3 owns steps"));
  set("/episodes/step_begin", 2, -5);
  EXPECT_TRUE(contains(complaint(bad), "episode 2 owns steps -5"));
  set("/episodes/step_count", 0, 0);
  EXPECT_TRUE(contains(complaint(bad), "episode 0"));
  set("/episodes/item_count", 1, 100);
  EXPECT_TRUE(contains(complaint(bad), "episode 1"));
  set("/keyframe", 1, 1000);
  EXPECT_TRUE(contains(complaint(bad), "dataset /keyframe"));
  set("/items/token_begin", 1, 1e9);
  EXPECT_TRUE(contains(complaint(bad), "has tokens past the end"));
}

TEST_F(Malformed, BrokenChecksum) {
  std::string bytes = bytes_of(good);
  const DatasetInfo about = File::open(good).describe("/sites/read_0/weights");
  ASSERT_FALSE(about.filters.empty());
  // Find a compressed chunk of that dataset through its own address.
  haddr_t address = 0;
  hsize_t size = 0;
  {
    const hid_t file = H5Fopen(good.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t d = H5Dopen2(file, "/sites/read_0/weights", H5P_DEFAULT);
    const hid_t space = H5Dget_space(d);
    hsize_t offset[2];
    unsigned mask = 0;
    H5Dget_chunk_info(d, space, 0, offset, &mask, &address, &size);
    H5Sclose(space);
    H5Dclose(d);
    H5Fclose(file);
  }
  ASSERT_GT(size, 10u);
  bytes[address + size / 2] ^= 0x40;
  write_bytes(bad, bytes);
  EXPECT_TRUE(contains(complaint(bad), "dataset /sites/read_0/weights"));
  expect_problem("/sites/read_0/weights: rows 0 to");
}

TEST_F(Malformed, CheckNamesDatasetEpisodeAndStep) {
  const std::size_t before = steps_of(0) + steps_of(1);  // first row of episode 2
  set("/sites/read_0/weights", before * 6 + 2, 0.9);
  expect_problem("/sites/read_0/weights: episode 2, step 0: sums to");
  set("/sites/write_0/shift", before * 3, -0.1);
  expect_problem("/sites/write_0/shift: episode 2, step 0: is -0.1 at 0, expected 0 or more");
  set("/sites/read_0/gate", before + 1, 1.5);
  expect_problem("/sites/read_0/gate: episode 2, step 1: is 1.5 at 0, expected 0 to 1");
  set("/sites/read_0/key", before * 4, std::numeric_limits<double>::quiet_NaN());
  expect_problem("/sites/read_0/key: episode 2, step 0: is nan at 0");
  set("/sites/read_0/entropy", before, 17);
  expect_problem("/sites/read_0/entropy: episode 2, step 0: 17, the weights give");
  set("/sites/read_0/argmax", before, 99);
  expect_problem("/sites/read_0/argmax: episode 2, step 0: 99 is not the largest weight");
  set("/step", before, 5);
  expect_problem("/step: episode 2, step 0: is 5");
  set("/memory/usage", 0, 1.5);
  expect_problem("/memory/usage: episode 0, keyframe 0: is 1.5 at 0");
  set("/sites/hop_0/weights", 6, 0.5);
  expect_problem("/sites/hop_0/weights: episode 0, step 0: not zero beyond its 1 items");
  set("/io/input", 0, std::numeric_limits<double>::infinity());
  expect_problem("/io/input: episode 0, step 0: is inf");
}

TEST_F(Malformed, CheckHoldsEveryNumberToItsPromise) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::size_t step = steps_of(0) + steps_of(1);  // first row of episode 2
  const struct {
    const char* dataset;
    std::size_t at;
    double value;
    const char* problem;
  } cases[] = {
      {"/io/mask", step, 7, "/io/mask: episode 2, step 0: is 7, expected 0 to 1"},
      {"/io/phase", step + 1, 3, "/io/phase: episode 2, step 1: is 3, expected 0 to 2"},
      {"/io/token", step, 4, "/io/token: episode 2, step 0: is 4, expected -1 to 3"},
      {"/io/token", step, -2, "/io/token: episode 2, step 0: is -2, expected -1 to 3"},
      {"/io/target", step * 2, 1.5, "/io/target: episode 2, step 0: is 1.5, expected 0 to 1, at 0"},
      {"/io/output", step * 2 + 1, -0.5, "/io/output: episode 2, step 0: is -0.5"},
      {"/items/token", 0, 1e6, "/items/token: episode 0, token_row 0: is 1000000, expected 0 to 3"},
      {"/items/support", 1, 2, "/items/support: episode 1, item_row 0: is 2, expected 0 to 1"},
      {"/items/truth", 1, 7, "/items/truth: episode 1, item_row 0: is 7, expected -1 to 6"},
      {"/items/token_count", 1, -3, "/items/token_count: episode 1, item_row 0: is -3, expected 0"},
      {"/items/xy", 2, nan, "/items/xy: episode 1, item_row 0: is nan"},
      {"/items/token_begin", 2, 0, "/items/token_begin: episode 1, item_row 1: is 0, expected"},
      {"/episodes/loss", 2, nan, "/episodes/loss: episode 2: is nan, no finite number"},
      {"/episodes/error", 2, -HUGE_VAL, "/episodes/error: episode 2: is -inf"},
      {"/episodes/correct", 2, 9, "/episodes/correct: episode 2: is 9, expected 0 to 1"},
      {"/episodes/sequence", 2, -1, "/episodes/sequence: episode 2: is -1, expected 0 or more"},
      {"/episodes/param_difficulty", 2, nan, "/episodes/param_difficulty: episode 2: is nan"},
      {"/episode", 2, 9, "/episode: episode 2: is 9, expected 2"},
      {"/slot", 3, 9, "/slot: row 3: is 9, expected 3"},
      {"/shift_offset", 0, 0, "/shift_offset: row 0: is 0, expected -1"},
      {"/item_row", 1, 3, "/item_row: episode 1, item_row 0: is 3, expected 0"},
      {"/token_row", 1, 3, "/token_row: episode 0, token_row 1: is 3, expected 1"},
      {"/sites/read_0/initial_weights", 12, 0.9, "/sites/read_0/initial_weights: episode 2"},
      {"/memory/count", 0, nan, "/memory/count: episode 0, keyframe 0: is nan"},
      {"/controller/hidden", step * 5, nan, "/controller/hidden: episode 2, step 0: is nan"},
      {"/meta/complete", 0, 3, "/meta/complete is 3, expected 0 or 1"},
  };
  for (const auto& c : cases) {
    set(c.dataset, c.at, c.value);
    expect_problem(c.problem);
  }
}

TEST_F(Malformed, CheckMissesWhatIsMissing) {
  for (const std::string& name : File::open(good).datasets()) {
    edit([&](hid_t file) { H5Ldelete(file, name.c_str(), H5P_DEFAULT); });
    EXPECT_FALSE(problems(bad).empty()) << name;
  }
  set_text("/sites/read_0", "turn", "sideways");
  EXPECT_TRUE(contains(complaint(bad), "site /sites/read_0 is of the turn sideways, which is not listed"));
  set_text("/sites", "order", "read_0,hop_0,pointer");
  expect_problem("/sites: its attribute order does not name write_0");
  set_text("/io", "target_kind", "maybe");
  expect_problem("/io: attribute target_kind is \"maybe\"");
}

TEST_F(Malformed, AWrongTableNamesItsAxis) {
  set("/episodes/keyframe_count", 2, 1e6);
  EXPECT_TRUE(contains(complaint(bad), "episode 2 owns keyframes")) << complaint(bad);
  set("/episodes/item_begin", 3, -1);
  EXPECT_TRUE(contains(complaint(bad), "episode 3 owns items -1 to")) << complaint(bad);
  set("/episodes/step_count", 3, 1e6);
  EXPECT_TRUE(contains(complaint(bad), "episode 3 owns steps")) << complaint(bad);
}

TEST_F(Malformed, AScaleThatIsNoListOrTooWide) {
  const auto put = [](hid_t file, const char* name, const std::vector<hsize_t>& dims) {
    const hid_t space =
        dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t d = H5Dcreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5DSset_scale(d, name + 1);
    H5Sclose(space);
    return d;
  };
  edit([&](hid_t file) {
    const hid_t one = put(file, "/one", {}), mask = H5Dopen2(file, "/io/mask", H5P_DEFAULT);
    H5Adelete(mask, "DIMENSION_LIST");
    H5DSattach_scale(mask, one, 0);
    H5Dclose(mask);
    H5Dclose(one);
  });
  expect_problem("/io/mask: axis 0 lies along /one, which is no list");
  edit([&](hid_t file) {  // more numbers a row than anybody made room for
    H5Ldelete(file, "/step", H5P_DEFAULT);
    H5Dclose(put(file, "/step", {400, 50}));
  });
  expect_problem("dataset /step has shape [400, 50], expected [rows]");
}

/// A dataset of these extents in the place of another, without a number in it.
void put_extents(hid_t file, const std::string& name, hid_t type, const std::vector<hsize_t>& dims,
                 const std::map<std::string, std::string>& attributes = {}) {
  H5Ldelete(file, name.c_str(), H5P_DEFAULT);
  const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
  const hid_t d = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  ASSERT_GE(d, 0) << name;
  H5Sclose(space);
  for (const auto& [key, text] : attributes) {
    const hid_t string = H5Tcopy(H5T_C_S1), scalar = H5Screate(H5S_SCALAR);
    H5Tset_size(string, text.size());
    const hid_t a = H5Acreate2(d, key.c_str(), string, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, string, text.data());
    H5Aclose(a);
    H5Sclose(scalar);
    H5Tclose(string);
  }
  H5Dclose(d);
}

// Consistent, so nothing but their size speaks against them.
TEST_F(Malformed, ExtentsThatNoFileCanHoldAreNamedOnEveryAxis) {
  const File file = File::open(good);
  const hsize_t keyframes = file.dims("/keyframe")[0], items = file.dims("/items/xy")[0], huge = hsize_t{1} << 40;
  for (const int bits : {31, 32}) {  // of a row 2^64 bytes, which is 0, and 2^66
    const hsize_t side = hsize_t{1} << bits;
    edit([&](hid_t f) {
      put_extents(
          f, "/memory/fast", H5T_IEEE_F32LE, {keyframes, side, side},
          {{"declared", "fast"}, {"kind", "plain"}, {"level", "params"}, {"axes", "keyframe,fast_axis0,fast_axis1"}});
    });
    EXPECT_TRUE(contains(complaint(bad), "dataset /memory/fast promises more than the file can hold"));
    expect_problem("/memory/fast promises more than the file can hold");
  }
  edit([&](hid_t f) {
    put_extents(f, "/coordinate", H5T_STD_I32LE, {huge});
    put_extents(f, "/items/values", H5T_IEEE_F32LE, {items, huge});
  });
  EXPECT_TRUE(contains(complaint(bad), "dataset /items/values promises more than the file can hold"));
  edit([&](hid_t f) {
    put_extents(f, "/items/token", H5T_STD_I32LE, {huge});
    const hid_t d = H5Dopen2(f, "/items/token_count", H5P_DEFAULT);
    const std::vector<std::int32_t> many(items, 2'000'000'000);
    H5Dwrite(d, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, many.data());
    H5Dclose(d);
  });
  EXPECT_TRUE(contains(complaint(bad), "dataset /items/token promises more than the file can hold"));
}

TEST_F(Malformed, ATextEndsWhereItEnds) {
  const auto put = [&](const std::string& bytes) {
    edit([&](hid_t file) {
      H5Ldelete(file, "/meta/config_json", H5P_DEFAULT);
      const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
      H5Tset_size(type, bytes.size());
      H5Tset_strpad(type, H5T_STR_NULLPAD);
      const hid_t d = H5Dcreate2(file, "/meta/config_json", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
      H5Dclose(d);
      H5Sclose(space);
      H5Tclose(type);
    });
  };
  put(std::string("{}\0\0", 4));
  EXPECT_EQ(complaint(bad), "");
  put(std::string("{}\0{}", 5));
  EXPECT_TRUE(contains(complaint(bad), "dataset /meta/config_json goes on after its end, a zero byte at 2"));
  for (const char* text : {"{} {}", "{}x", "{", "nonsense"}) {
    put(text);
    expect_problem("/meta/config_json: is no JSON, or has something after its end");
  }
}

/// A filter of our own making, which is there while the file is written and gone when it is read.
TEST_F(Malformed, AMissingFilterIsNamed) {
  const H5Z_class2_t filter = {
      H5Z_CLASS_T_VERS,
      32015,
      1,
      1,
      "zstd",
      nullptr,
      nullptr,
      [](unsigned, std::size_t, const unsigned*, std::size_t bytes, std::size_t*, void**) { return bytes; }};
  ASSERT_GE(H5Zregister(&filter), 0);
  edit([&](hid_t file) {
    H5Ldelete(file, "/io/mask", H5P_DEFAULT);
    hsize_t rows = 0;
    for (std::size_t i = 0; i < 8; ++i) rows += steps_of(i);
    const hid_t space = H5Screate_simple(1, &rows, nullptr), list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(list, 1, &rows);
    H5Pset_filter(list, 32015, 0, 0, nullptr);
    const hid_t d = H5Dcreate2(file, "/io/mask", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    const std::vector<std::uint8_t> zeros(rows);
    H5Dwrite(d, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros.data());
    H5Dclose(d);
    H5Pclose(list);
    H5Sclose(space);
  });
  ASSERT_GE(H5Zunregister(32015), 0);
  EXPECT_TRUE(contains(complaint(bad), "dataset /io/mask, rows 0 to")) << complaint(bad);
  EXPECT_TRUE(contains(complaint(bad), "is stored with the HDF5 filter 32015 (zstd), which this HDF5 does not have"))
      << complaint(bad);
}

TEST_F(Malformed, RepackedWithoutLossIsSound) {
  if (std::system("h5repack -V > /dev/null 2>&1") != 0) GTEST_SKIP() << "h5repack is not installed";
  for (const char* how : {"-f NONE", "-f GZIP=9", "-f SHUF -f GZIP=4", "-l CONTI", "-L"}) {
    fs::remove(bad);
    const std::string command = fmt::format("h5repack {} '{}' '{}' > /dev/null 2>&1", how, good.string(), bad.string());
    ASSERT_EQ(std::system(command.c_str()), 0) << how;
    const Findings found = examine(bad);
    EXPECT_TRUE(found.problems.empty()) << how << ": " << found.problems[0];
    EXPECT_EQ(found.remarks.size(), std::string(how) == "-L" ? 0u : 1u) << how;
  }
}

TEST_F(Malformed, EveryTextHasRoomForItsEnd) {
  const hid_t file = H5Fopen(good.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  std::size_t texts = 0;
  const auto terminated = [&](hid_t type, const std::string& bytes, const std::string& name) {
    const std::size_t size = H5Tget_size(type);
    for (std::size_t i = size; i <= bytes.size(); i += size, ++texts) EXPECT_EQ(bytes[i - 1], '\0') << name;
  };
  for (const char* name : {"/meta/config_ini", "/meta/config_json", "/meta/env_json", "/meta/schema_doc"}) {
    const hid_t d = H5Dopen2(file, name, H5P_DEFAULT), type = H5Dget_type(d);
    std::string bytes(H5Tget_size(type), 'x');
    H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data());
    terminated(type, bytes, name);
    H5Tclose(type);
    H5Dclose(d);
  }
  for (const char* object : {"/", "/sites", "/sites/read_0", "/episodes/loss"}) {
    const hid_t o = H5Oopen(file, object, H5P_DEFAULT);
    for (hsize_t i = 0;; ++i) {
      const hid_t a = H5Aopen_by_idx(o, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT);
      if (a < 0) break;
      const hid_t type = H5Aget_type(a), space = H5Aget_space(a);
      char name[100] = {};
      H5Aget_name(a, sizeof name, name);
      const bool ours = std::string(name) != "CLASS" && std::string(name) != "NAME";  // else HDF5's own
      if (ours && H5Tget_class(type) == H5T_STRING) {
        std::string bytes(H5Tget_size(type) * static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)), 'x');
        H5Aread(a, type, bytes.data());
        terminated(type, bytes, std::string(object) + " " + name);
      }
      H5Sclose(space);
      H5Tclose(type);
      H5Aclose(a);
    }
    H5Oclose(o);
  }
  H5Fclose(file);
  EXPECT_GT(texts, 30u);
}

TEST_F(Malformed, CheckKnowsTheSchema) {
  edit([](hid_t file) { H5Adelete_by_name(file, "/sites/read_0/beta", "units", H5P_DEFAULT); });
  expect_problem("/sites/read_0/beta: has no attribute units");
  edit([](hid_t file) { H5Adelete_by_name(file, "/sites/read_0/key", "DIMENSION_LIST", H5P_DEFAULT); });
  expect_problem("/sites/read_0/key: axis 1 has no dimension scale");
  edit([](hid_t file) {
    const hid_t d = H5Dopen2(file, "/sites/read_0/entropy", H5P_DEFAULT);
    const hsize_t size[] = {3};
    H5Dset_extent(d, size);
    H5Dclose(d);
  });
  expect_problem("/sites/read_0/entropy: axis 0 has 3 rows, its scale /step has");
}

TEST_F(Malformed, RandomDamageIsNeverSilentlyFatal) {
  // Bytes flipped in the data area: an error or other numbers, but always a return. (Damage to HDF5's own structures is
  // HDF5's to survive; docs/trace_format.md.)
  const std::string bytes = bytes_of(good);
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    std::string damaged = bytes;
    const std::size_t begin = bytes.size() / 2;
    for (int k = 0; k < 5; ++k)
      damaged[begin + random() % (bytes.size() - begin)] ^= static_cast<char>(1 + random() % 255);
    write_bytes(bad, damaged);
    complaint(bad);
  }
}

TEST_F(Malformed, NoSuchEpisode) {
  const Reader reader(good);
  try {
    reader.episode(8);
    FAIL();
  } catch (const ArgumentError& e) {
    EXPECT_EQ(std::string(e.what()), "[" + good.string() + "] there is no episode 8: it holds 8");
  }
}

using Dump = Malformed;

TEST_F(Dump, Info) {
  const Info i = info(good);
  EXPECT_EQ(i.episodes, 8u);
  EXPECT_TRUE(i.complete);
  EXPECT_EQ(i.file_bytes, fs::file_size(good));
  EXPECT_GT(i.datasets.size(), 60u);
  std::ostringstream out;
  print_info(i, out);
  EXPECT_TRUE(contains(out.str(), "task story, model cell, addressing content_location, checkpoint at step 1234"));
  EXPECT_TRUE(contains(out.str(), "site hop_0 (hop, content, 7 items): key modes"));
  const auto j = parse_json(info_json(i));
  EXPECT_EQ(j["episodes"], 8);
  EXPECT_EQ(j["sites"][1]["name"], "write_0");
}

TEST_F(Dump, Show) {
  std::ostringstream out;
  show_episode(Reader(good), 2, out);
  EXPECT_TRUE(contains(out.str(), "episode 2 (id 2), sequence:200"));
  EXPECT_TRUE(contains(out.str(), fmt::format(", error {},", error_text(Reader(good).summary(2), 6))));
  EXPECT_TRUE(contains(out.str(), "length 27"));
  std::size_t lines = 0;
  for (char c : out.str()) lines += c == '\n';
  EXPECT_EQ(lines, 3 + steps_of(2));
}

TEST(ErrorText, IsADashWhereTrainingDiverged) {
  Episode e;
  e.loss = 2;
  e.error = 3.25f;
  EXPECT_EQ(error_text(e, 4), "3.25");
  EXPECT_EQ(error_text(e, 2), "3.2");
  e.loss = NAN;
  EXPECT_EQ(error_text(e, 4), "-") << "older files have a number there";
  e.error = NAN;
  EXPECT_EQ(error_text(e, 4), "-");
}

TEST_F(Dump, CsvIsTidy) {
  const Reader reader(good);
  const auto files = export_csv(reader, folder / "csv", {1, 4});
  ASSERT_EQ(files.size(), 8u);
  const auto lines = [](const fs::path& path) {
    std::ifstream in(path);
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  };
  const std::size_t steps = steps_of(1) + steps_of(4);
  const auto episodes = lines(files[0]);
  ASSERT_EQ(episodes.size(), 3u);
  EXPECT_EQ(episodes[0], "episode,sequence,seed,checkpoint_hash,steps,loss,error,correct,length,difficulty");
  EXPECT_EQ(episodes[2].substr(0, 6), "4,400,");
  EXPECT_EQ(lines(files[1]).size(), 1 + 4 * steps);
  EXPECT_EQ(lines(files[2]).size(), 1 + steps * (3 + 2 + 2 + 1));
  EXPECT_EQ(lines(files[3]).size(), 1 + (6 + 6 + 7 + 7) * (steps + 2));
  EXPECT_EQ(lines(files[4])[0], "episode,step,site,name,index,value");
  const Episode e = reader.episode(1);
  EXPECT_EQ(lines(files[3])[1], fmt::format("1,-1,read_0,0,{}", e.sites[0].initial_weights[0]));
  for (const auto& file : files) {
    const auto all = lines(file);
    for (const std::string& line : all) {
      bool text = false;  // a comma within quotes is no separator
      std::ptrdiff_t commas = 0;
      for (char c : line) {
        text ^= c == '"';
        commas += c == ',' && !text;
      }
      ASSERT_EQ(commas, std::count(all[0].begin(), all[0].end(), ',')) << line;
    }
  }
  const auto items = lines(files[6]);
  ASSERT_EQ(items.size(), 1 + e.items.count + reader.episode(4).items.count);
  EXPECT_EQ(items[0], "episode,item,support,truth,values,text");
  EXPECT_EQ(items[2].substr(0, 8), "1,1,0,0,") << items[2];
  EXPECT_TRUE(items[2].ends_with(",mary went")) << items[2];
  const auto names = lines(files[7]);
  ASSERT_EQ(names.size(), 1 + 4 + 2u);
  EXPECT_EQ(names[2], "token,1,went");
  EXPECT_EQ(names[6], "class,1,\"hall,kitchen\"");
  EXPECT_EQ(export_csv(reader, folder / "all").size(), 8u);
  EXPECT_THROW(export_csv(reader, folder / "all"), ArgumentError) << "what exists stays";
  EXPECT_EQ(export_csv(reader, folder / "all", {1}, true).size(), 8u);
  write_bytes(folder / "file", "");
  EXPECT_THROW(export_csv(reader, folder / "file" / "csv"), RuntimeFailure);
}

TEST_F(Dump, WhatSchema2AddedIsInAllOfThem) {
  Layout now = with_schema_2(rich_layout());
  now.fields = {{"wish", "step", 2, false, "what was wanted"}, {"rank", "item_row", 1, true, "of an item"}};
  Episode e;
  {
    Sink sink(folder / "now", now);
    make_episode(now, 3, 5, e);
    std::get<std::vector<float>>(e.fields[0])[3] = 0.5f;
    std::get<std::vector<std::int32_t>>(e.fields[1])[1] = 7;
    sink.append(e);
    sink.close();
  }
  const fs::path path = folder / "now.000.trace.h5";
  const auto j = parse_json(info_json(info(path)));
  ASSERT_EQ(j["turns"].size(), 4u);
  EXPECT_EQ(j["turns"][1].dump(), R"({"name":"read","writes":false,"sites":["read_0","glimpse_0"]})");
  EXPECT_EQ(j["turns"][3]["writes"], true);
  ASSERT_EQ(j["fields"].size(), 2u);
  EXPECT_EQ(j["fields"][0].dump(), R"({"name":"wish","axis":"step","width":2,"whole":false})");
  std::ostringstream text;
  print_info(info(path), text);
  EXPECT_TRUE(contains(text.str(), "field wish: 2 numbers for each step\n  field rank: 1 number for each item\n"));

  const auto files = export_csv(Reader(path), folder / "csv");
  EXPECT_TRUE(std::count(files.begin(), files.end(), folder / "csv" / "fields.csv"));
  const std::string values = bytes_of(folder / "csv" / "values.csv"), fields = bytes_of(folder / "csv" / "fields.csv");
  for (std::size_t k = 0; k < 3; ++k)
    EXPECT_TRUE(contains(values, fmt::format("0,-1,hop_0,modes,{},{}\n", k, e.sites[2].initial[1][k]))) << values;
  EXPECT_TRUE(contains(values, fmt::format("0,-1,hop_0,age,,{}\n", e.sites[2].initial[2][0])));
  EXPECT_FALSE(contains(values, ",-1,read_0,")) << "no state of that site is logged";
  EXPECT_TRUE(contains(fields, "0,wish,step,1,1,0.5\n")) << fields;
  EXPECT_TRUE(contains(fields, "0,rank,item_row,1,0,7\n")) << fields;
}

TEST_F(Dump, ForceLeavesNoTableOfAnEarlierTrace) {
  const fs::path csv = folder / "csv";
  export_csv(Reader(good), csv);
  write_bytes(csv / "mine.csv", "mine");
  for (const char* name : {"episodes", "steps", "io", "weights", "values", "memory"})
    fs::remove(csv / (std::string(name) + ".csv"));
  {
    Sink sink(folder / "plain", ntm_layout());
    Episode e;
    make_episode(ntm_layout(), 1, 5, e);
    sink.append(e);
    sink.close();
  }
  const Reader plain(folder / "plain.000.trace.h5");
  EXPECT_THROW(export_csv(plain, csv), ArgumentError) << "tables of two traces would stand side by side";
  EXPECT_EQ(export_csv(plain, csv, {}, true).size(), 6u);
  for (const char* name : {"items.csv", "names.csv"}) EXPECT_FALSE(fs::exists(csv / name)) << name;
  EXPECT_EQ(bytes_of(csv / "mine.csv"), "mine");
}

TEST(PhaseName, IsTheNumberWhereItIsNone) {
  EXPECT_EQ(phase_name(0) + phase_name(1) + phase_name(2), "inputdelimiteranswer");
  EXPECT_EQ(phase_name(255), "255");
}

TEST_F(Dump, RepairNeverWritesOverWhatIsNotItsOwn) {
  const fs::path cut = folder / "cut.trace.h5.part";
  fs::copy_file(good, cut);
  fs::create_symlink(cut, folder / "link.part");
  const auto refusal = [&](const fs::path& source, const fs::path& to, bool force) -> std::string {
    try {
      repair(source, to, force);
    } catch (const ArgumentError& e) {
      return e.what();
    }
    return "";
  };
  for (const bool force : {false, true})
    for (const auto& [source, to] : {std::pair(cut, "cut.trace.h5"), std::pair(folder / "link.part", "link")}) {
      const std::string text = refusal(source, folder / to, force);
      EXPECT_TRUE(contains(text, source.string() + "] is where ") && contains(text, "give another --out")) << text;
      EXPECT_FALSE(fs::exists(folder / to));
      EXPECT_EQ(bytes_of(cut), bytes_of(good));
    }
  write_bytes(folder / "other.part", "mine");
  const std::string text = refusal(cut, folder / "other", true);
  EXPECT_TRUE(contains(text, "other.part] is in the way") && contains(text, "give another --out")) << text;
  EXPECT_EQ(bytes_of(folder / "other.part"), "mine");
  EXPECT_EQ(repair(cut, folder / "saved.trace.h5"), 8u);
}

TEST_F(Dump, RepairMakesACompleteFile) {
  Sink sink(folder / "cut", layout);
  Episode e;
  for (std::size_t i = 0; i < 30; ++i) {
    make_episode(layout, i, steps_of(i), e);
    sink.append(e);
  }
  const fs::path cut = folder / "copy.part";
  fs::copy_file(sink.current(), cut);
  const std::size_t n = repair(cut, folder / "mended.trace.h5");
  EXPECT_EQ(static_cast<std::int64_t>(n), sink.committed());
  const Reader reader(folder / "mended.trace.h5");
  EXPECT_TRUE(reader.complete());
  ASSERT_EQ(reader.episodes(), n);
  for (std::size_t i = 0; i < n; ++i) {
    make_episode(layout, i, steps_of(i), e);
    expect_same(layout, e, reader.layout(), reader.episode(i));
  }
  EXPECT_TRUE(check(folder / "mended.trace.h5").empty());
  EXPECT_THROW(repair(cut, folder / "mended.trace.h5"), ArgumentError);
  EXPECT_EQ(repair(cut, folder / "mended.trace.h5", true), n);
  EXPECT_TRUE(is_repaired_copy(folder / "mended.trace.h5"));
  EXPECT_FALSE(is_repaired_copy(cut));
}

}  // namespace
}  // namespace mneme::trace::testing
