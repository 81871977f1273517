// safetensors and npy: what is written comes back to the bit, and what is malformed is refused with a reason.
#include "experiments/exchange/weights.hpp"

#include "core/json.hpp"
#include "core/random.hpp"
#include "tests/experiments/support.hpp"

#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>

namespace mneme::experiments {
namespace {

Weights some_weights() {
  Weights w;
  w.arrays = {
      {"a.weight", {2, 3}, {1, -2, 3.5f, 0, -0.0f, 1e-42f}}, {"b", {4}, {1e38f, -1e-38f, 0.1f, 7}}, {"c", {}, {5}}};
  w.metadata = {{"format", "mneme-weights 1"}, {"config", "task = copy\n\"quoted\"\n"}};
  return w;
}

void expect_same(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.arrays.size(), b.arrays.size());
  for (std::size_t i = 0; i < a.arrays.size(); ++i) {
    EXPECT_EQ(a.arrays[i].name, b.arrays[i].name);
    EXPECT_EQ(a.arrays[i].dims, b.arrays[i].dims);
    ASSERT_EQ(a.arrays[i].values.size(), b.arrays[i].values.size());
    EXPECT_EQ(std::memcmp(a.arrays[i].values.data(), b.arrays[i].values.data(), a.arrays[i].values.size() * 4), 0);
  }
  EXPECT_EQ(a.metadata, b.metadata);
}

/// A safetensors file of this header and so many bytes of data, all zero but for `data`.
std::string file_of(const std::string& header, std::size_t size, const std::string& data = "") {
  std::string bytes(8, '\0');
  const std::uint64_t n = header.size();
  std::memcpy(bytes.data(), &n, 8);
  std::string numbers = data;
  numbers.resize(size, '\0');
  return bytes + header + numbers;
}

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

TEST(Weights, EveryBitComesBackFromBothFormats) {
  const Folder folder;
  for (const std::string& format : weight_formats()) {
    write_weights(folder / format, format, some_weights());
    expect_same(read_weights(folder / format), some_weights());
    EXPECT_FALSE(fs::exists(folder / (format + ".part")));
  }
}

TEST(Weights, NumbersOfAFileAreAlignedAndItsHeaderIsPlain) {
  const std::string bytes = safetensors_bytes(some_weights());
  std::uint64_t n = 0;
  std::memcpy(&n, bytes.data(), 8);
  EXPECT_EQ(n % 8, 0u);
  const Json header = parse_json(bytes.substr(8, n));
  EXPECT_EQ(header["a.weight"], parse_json(R"({"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]})"));
  EXPECT_EQ(header["b"]["data_offsets"], parse_json("[24, 40]"));
  EXPECT_EQ(bytes.size(), 8 + n + 44);
}

TEST(Weights, NothingIsOverwritten) {
  const Folder folder;
  for (const std::string& format : weight_formats()) {
    const fs::path path = folder / (format + " old");
    if (format == "npy") fs::create_directories(path);
    write_file(format == "npy" ? path / "mine" : path, "mine");
    expect_has(message_of<ArgumentError>([&] { write_weights(path, format, some_weights()); }),
               path.string() + "] exists already");
    EXPECT_EQ(read_file(format == "npy" ? path / "mine" : path), "mine");
  }
  fs::create_directories(folder / "busy.part");
  expect_has(message_of<ArgumentError>([&] { write_weights(folder / "busy", "npy", some_weights()); }),
             "busy.part] is in the way");
  EXPECT_TRUE(fs::exists(folder / "busy.part"));
}

TEST(Weights, ForceReplacesAnExportAndNothingElse) {
  const Folder folder;
  Weights w = some_weights();
  const fs::path out = folder / "w";
  write_weights(out, "npy", w);
  w.arrays.pop_back();
  const auto beside = [&] { return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()); };
  for (const fs::path& path : {out, fs::path(out.string() + "/")}) {  // a slash at the end made DIR/.new
    write_weights(path, "npy", w, true);
    expect_same(read_weights(out), w);
    EXPECT_EQ(beside(), 1) << path;
  }
  write_file(out / "notes.txt", "mine");
  fs::create_directories(out / "more.npy");
  write_file(out / "z.npy", "mine");
  expect_has(message_of<ArgumentError>([&] { write_weights(out, "npy", w, true); }),
             out.string() +
                 "] holds what no export of weights wrote, so --force does not replace it: more.npy, "
                 "notes.txt, z.npy");
  EXPECT_EQ(read_file(out / "notes.txt"), "mine");
  EXPECT_EQ(beside(), 1);

  const fs::path site = folder / "site";
  for (const char* index :
       {"{}", "no JSON", "[]", R"({"metadata":{"format":"other"},"arrays":{}})",
        R"({"metadata":{"format":"mneme-weights 1"}})", R"({"metadata":{"format":3},"arrays":{}})"}) {
    fs::create_directories(site);
    write_file(site / "index.json", index);
    write_file(site / "page.html", "mine");
    expect_has(message_of<ArgumentError>([&] { write_weights(site, "npy", w, true); }),
               (site / "index.json").string() + "] is none that an export of weights wrote");
    EXPECT_EQ(read_file(site / "page.html"), "mine");
  }
  EXPECT_EQ(beside(), 2);
}

// A file size limit is a disk that is full: every write past it fails.
TEST(Weights, AFullDiskLeavesNothing) {
  const Folder folder;
  Weights w = some_weights();
  w.arrays.push_back({"large", {5000}, std::vector<float>(5000, 1)});
  for (const std::string& format : weight_formats()) {
    const Child child = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit size{10000, 10000};
      ::setrlimit(RLIMIT_FSIZE, &size);
      return message_of<RuntimeFailure>([&] { write_weights(folder / format, format, w); });
    });
    EXPECT_EQ(child.code, 0);
    expect_has(child.text, "cannot be written: File too large");
    EXPECT_FALSE(fs::exists(folder / format));
    EXPECT_FALSE(fs::exists(folder / (format + ".part")));
  }
}

TEST(Weights, Float64IsRoundedAndFortranOrderTurned) {
  const Weights w = parse_safetensors(
      file_of(R"({"x":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}})", 16, bytes_of<double>({0.1, -3})), "x");
  EXPECT_EQ(w.arrays.at(0).values, (std::vector<float>{0.1f, -3}));

  const auto npy = [](const std::string& header, const std::string& data) {
    const auto n = static_cast<std::uint16_t>(header.size());
    return std::string("\x93NUMPY\x01\x00", 8) + std::string(reinterpret_cast<const char*>(&n), 2) + header + data;
  };
  const NamedArray c = parse_npy(
      npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }  \n", bytes_of<double>({1, 2, 3, 4, 5, 6})),
      "c");
  const NamedArray f = parse_npy(
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", bytes_of<float>({1, 4, 2, 5, 3, 6})), "f");
  EXPECT_EQ(c.values, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(f.values, c.values);
  EXPECT_EQ(f.dims, (std::vector<std::size_t>{2, 3}));
}

TEST(Weights, MalformedSafetensorsAreRefusedWithTheReason) {
  const std::string x = R"("x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return fmt::format(R"({{"x":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::string absurd(8, '\xff');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "has 0 bytes, too few for a header's length"},
      {"1234567", "has 7 bytes, too few"},
      {absurd + "{}", "names a header of 18446744073709551615 bytes; the format allows 100000000"},
      {file_of("{" + x + "}", 8).substr(0, 20), "is truncated: it names a header of"},
      {file_of("{" + x + "}", 7), "'x'] ends at byte 8 of the data, which has 7: truncated"},
      {file_of("[]", 0), "its header does not begin with '{'"},
      {file_of("{" + x, 8), "header] is no JSON at byte"},
      {file_of("{\"\xff\xfe\":1}", 8), "header] is no JSON at byte"},
      {file_of("{" + x + "," + x + "}", 8), "header] has the key 'x' twice"},
      {file_of(R"({"x":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "has the key 'dtype' twice"},
      {file_of(R"({"x":[1]})", 0), "'x'] is not dtype, shape and data_offsets"},
      {file_of(R"({"x":{"dtype":"F32","shape":[2]}})", 8), "'x'] is not dtype, shape and data_offsets"},
      {file_of(R"({"__metadata__":{"a":1}})", 0), "'__metadata__'] 'a' is no string"},
      {file_of(R"({"__metadata__":"a"})", 0), "'__metadata__'] is no object"},
      {file_of("{\"x\":" + std::string(200, '[') + std::string(200, ']') + "}", 0), "header] is nested too deep"},
      {file_of(one("\"I64\"", "[1]", "[0,8]"), 8), "'x'] has dtype I64; F32 and F64 can be read"},
      {file_of(one("\"BF16\"", "[4]", "[0,8]"), 8), "'x'] has dtype BF16"},
      {file_of(one("3", "[2]", "[0,8]"), 8), "'x'] has dtype no text"},
      {file_of(one("\"F32\"", "[-2]", "[0,8]"), 8), "'x' shape] is no list of natural numbers"},
      {file_of(one("\"F32\"", "[2.0]", "[0,8]"), 8), "'x' shape] is no list of natural numbers"},
      {file_of(one("\"F32\"", "[1e999]", "[0,8]"), 8), "header] holds a number that no float64 holds"},
      {file_of(one("\"F32\"", "2", "[0,8]"), 8), "'x' shape] is no list of natural numbers"},
      {file_of(one("\"F32\"", "[2]", "[8]"), 8), "'x'] data_offsets [8] are no begin and end"},
      {file_of(one("\"F32\"", "[2]", "[8,0]"), 8), "'x'] data_offsets [8 0] are no begin and end"},
      {file_of(one("\"F32\"", "[2]", "[0,18446744073709551615]"), 8), "ends at byte 18446744073709551615 of the data"},
      {file_of(one("\"F32\"", "[3]", "[0,8]"), 8), "'x'] of shape [3] and dtype F32 has 8 bytes"},
      {file_of(one("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0), "of shape [4294967296 4294967296]"},
      {file_of(one("\"F32\"", "[1]", "[0,6]"), 6), "has 6 bytes"},
      {file_of("{" + x + R"(,"y":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
       "'x' and 'y' overlap in the data"},
      {file_of("{" + x + R"(,"y":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), "overlap in the data"},
      {file_of("{" + x + R"(,"y":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16),
       "bytes 8 to 12 of the data belong to no array"},
      {file_of("{" + x + "}", 12), "bytes 8 to 12 of the data belong to no array"},
      {file_of("{" + x + "}", 8, bytes_of<float>({1, nan})), "'x'] number 1 is nan, which is no finite float32"},
      {file_of(one("\"F64\"", "[1]", "[0,8]"), 8, bytes_of<double>({1e39})),
       "number 0 is 1e+39, which is no finite float32"},
  };
  for (const auto& [bytes, says] : cases) {
    const std::string m = message_of<FileError>([&] { parse_safetensors(bytes, "dir/w.safetensors"); });
    EXPECT_EQ(m.rfind("[dir/w.safetensors", 0), 0u) << m;
    expect_has(m, says);
  }
}

TEST(Weights, MalformedNpyIsRefusedWithTheReason) {
  const auto npy = [](const std::string& header, std::size_t size, const std::string& data = "") {
    const auto n = static_cast<std::uint16_t>(header.size());
    std::string numbers = data;
    numbers.resize(size, '\0');
    return std::string("\x93NUMPY\x01\x00", 8) + std::string(reinterpret_cast<const char*>(&n), 2) + header + numbers;
  };
  const auto dict = [](const std::string& descr, const std::string& shape) {
    return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
  };
  const std::string good = npy(dict("<f4", "(2,)"), 8);
  EXPECT_EQ(parse_npy(good, "x").dims, (std::vector<std::size_t>{2}));
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "is no .npy file"},
      {"PK\x03\x04 and more", "is no .npy file"},
      {std::string("\x93NUMPY\x04\x00\x01\x00{", 11), "is of npy version 4; 1 to 3 can be read"},
      {good.substr(0, 20), "is truncated: it names a header of"},
      {std::string("\x93NUMPY\x02\x00\xff\xff", 10), "is truncated"},
      {npy(dict(">f4", "(2,)"), 8), "is big-endian ('>f4')"},
      {npy(dict("<i4", "(2,)"), 8), "has dtype '<i4'; '<f4' and '<f8' can be read"},
      {npy(dict("|O", "(2,)"), 8), "has dtype '|O'"},
      {npy(dict("<f4", "(2,)"), 7), "of shape [2] and dtype '<f4' has 7 bytes of numbers"},
      {npy(dict("<f4", "(2,)"), 12), "has 12 bytes of numbers"},
      {npy(dict("<f4", "(4294967296, 4294967296)"), 8), "of shape [4294967296 4294967296]"},
      {npy(dict("<f4", "(99999999999999999999,)"), 8), "its header cannot be read at byte"},
      {npy(dict("<f4", "(-2,)"), 8), "its header cannot be read at byte"},
      {npy(dict("<f4", "2"), 8), "its header cannot be read at byte"},
      {npy(dict("<f4", "(2 2)"), 16), "its header cannot be read at byte"},
      {npy("{'descr': '<f4'", 8), "its header cannot be read at byte 15"},
      {npy("{'descr': '<f4', 'shape': (2,)}", 8), "lacks one of descr, fortran_order, shape"},
      {npy("{'descr': '<f4', 'descr': '<f4'}", 8), "its header has 'descr' twice"},
      {npy("{'fortran_order': 1}", 8), "its header cannot be read"},
      {npy("{'colour': 'red'}", 8), "its header has the unknown key 'colour'"},
      {npy(dict("<f4", "(2,)") + "x", 8), "its header cannot be read"},
      {npy(dict("<f4", "(2,)"), 8, bytes_of<float>({0, -infinity})), "number 1 is -inf, which is no finite float32"},
  };
  for (const auto& [bytes, says] : cases) {
    const std::string m = message_of<FileError>([&] { parse_npy(bytes, "dir/x.npy"); });
    EXPECT_EQ(m.rfind("[dir/x.npy", 0), 0u) << m;
    expect_has(m, says);
  }
}

TEST(Weights, AnIndexSaysWhatIsThere) {
  const Folder folder;
  const auto refusal = [&](const std::string& index) {
    fs::remove_all(folder / "w");
    write_weights(folder / "w", "npy", some_weights());
    write_file(folder / "w/index.json", index);
    const std::string m = message_of<FileError>([&] { read_weights(folder / "w"); });
    expect_has(m, "index.json");
    return m;
  };
  expect_has(refusal("{"), "is no JSON at byte");
  expect_has(refusal("[]"), "is no JSON object");
  expect_has(refusal("{}"), "is not metadata and arrays");
  expect_has(refusal(R"({"metadata":{},"arrays":{"a.weight":[2,3],"b":[4],"c":[],"d":[1]}})"),
             "names 'd', and there is no d.npy");
  expect_has(refusal(R"({"metadata":{},"arrays":{"a.weight":[2,3],"c":[]}})"), "does not name 'b', which is there");
  expect_has(refusal(R"({"metadata":{},"arrays":{"a.weight":[3,2],"b":[4],"c":[]}})"),
             "gives 'a.weight' the shape [3 2], the file has [2 3]");
  fs::remove(folder / "w/index.json");
  EXPECT_EQ(read_weights(folder / "w").arrays.size(), 3u) << "a folder of .npy files is enough";
  fs::create_directories(folder / "empty");
  expect_has(message_of<ArgumentError>([&] { read_weights(folder / "empty"); }), "empty] holds no .npy file");
  expect_has(message_of<FileError>([&] { read_weights(folder / "none"); }), "none] does not exist or is no file");
}

/// Some bytes changed, inserted, removed, doubled or cut, mostly among the first `header`.
std::string mutated(std::string bytes, std::size_t header, const std::string& tokens, std::uint64_t seed) {
  Random random(1, "mutation", seed);
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(n) - 1));
  };
  const std::size_t data = bytes.size() - header;
  for (std::size_t edits = 1 + below(3); edits-- > 0 && !bytes.empty();) {
    const std::size_t at = below(below(5) ? std::min(header, bytes.size()) : bytes.size());
    switch (below(6)) {
      case 0: bytes[at] = static_cast<char>(below(256)); break;
      case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); break;
      case 2: bytes.insert(at, 1, tokens[below(tokens.size())]); break;
      case 3: bytes.erase(at, 1 + below(8)); break;
      case 4: bytes.insert(at, bytes.substr(at, 1 + below(60))); break;
      default: bytes.resize(at); break;
    }
    // Another length than the header names is caught at once: look behind that door, too.
    const std::size_t length_at = bytes.starts_with("\x93NUMPY") ? 8 : 0, length_bytes = length_at ? 2 : 8;
    const std::size_t start = length_at + length_bytes;
    if (below(2) && bytes.size() >= start + data) {
      const std::uint64_t n = bytes.size() - start - data;
      std::memcpy(bytes.data() + length_at, &n, length_bytes);
    }
  }
  return bytes;
}

// Refused with a FileError, or read as something that is itself sound. Nothing else may come out: no crash, no other
// error, no number that is not finite, no array that is larger than its file.
TEST(Weights, SurviveThousandsOfMutations) {
  const std::string st = safetensors_bytes(some_weights());
  const std::size_t st_header = st.size() - 44;
  const Folder folder;
  write_weights(folder / "npy", "npy", some_weights());
  const std::string npy = read_file(folder / "npy/a.weight.npy");
  const std::size_t npy_header = npy.size() - 24;
  for (const bool safetensors : {true, false}) {
    std::size_t refused = 0, read = 0;
    const auto sound = [](const NamedArray& a, const std::string& bytes) {
      std::size_t count = 1;
      for (const std::size_t d : a.dims) count *= d;
      return count == a.values.size() && count * 4 <= bytes.size() &&
             std::all_of(a.values.begin(), a.values.end(), [](float v) { return std::isfinite(v); });
    };
    for (std::uint64_t seed = 0; seed < 6000; ++seed) {
      const std::string bytes = safetensors ? mutated(st, st_header, "{}[]\",:0123456789-.eE\\ \xff", seed)
                                            : mutated(npy, npy_header, "{}()',:0123456789-<>fTrueFalse ", seed);
      try {
        Weights w;
        if (safetensors)
          w = parse_safetensors(bytes, "fuzz");
        else
          w.arrays.push_back(parse_npy(bytes, "fuzz"));
        ++read;
        for (const NamedArray& a : w.arrays) ASSERT_TRUE(sound(a, bytes)) << a.name << " seed " << seed;
      } catch (const FileError& e) {
        ++refused;
        ASSERT_EQ(std::string(e.what()).rfind("[fuzz", 0), 0u) << e.what() << " seed " << seed;
      }
    }
    EXPECT_GT(refused, 2500u);
    EXPECT_GT(read, 200u) << "some mutations change names, numbers or blanks only";
    RecordProperty(safetensors ? "safetensors_read" : "npy_read", static_cast<int>(read));
  }
}

}  // namespace
}  // namespace mneme::experiments
