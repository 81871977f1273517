// Room: tests/trace. The HDF5 wrapper: what goes in comes out, and what cannot be read says so.
#include "trace/hdf5.hpp"

#include "core/error.hpp"
#include "fault.hpp"
#include "sample.hpp"

#include <cerrno>
#include <fstream>
#include <limits>

#include <hdf5.h>

namespace mneme::trace::testing {
namespace {

namespace fs = std::filesystem;

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\n  does not contain: " << part;
}

TEST(Hdf5, EveryTypeAndShapeComesBack) {
  Folder folder;
  const std::vector<float> f = {1.5f, -0.0f, std::numeric_limits<float>::infinity(), 4, 5, 6};
  const std::vector<double> d = {1e-300, std::numeric_limits<double>::quiet_NaN()};
  const std::vector<std::int64_t> i = {std::numeric_limits<std::int64_t>::min(), 7};
  const std::vector<std::uint64_t> u = {std::numeric_limits<std::uint64_t>::max(), 0};
  {
    File file = File::create(folder / "a.h5");
    file.write("/model/lstm/weight", {2, 3}, f.data());
    file.write("/optimizer/second", {2}, d.data());
    file.write("/i", {2, 1, 1}, i.data());
    file.write("/u", {2}, u.data());
    file.write("/empty", {0, 3}, f.data());
    file.write("/scalar", std::uint64_t{42});
    file.write("/float", 2.5);
    file.write("/text", std::string("h\xc3\xb4tel\nsecond line"));
    file.write("/no_text", std::string());
    file.write_lines("/lines", {"a", "", "h\xc3\xb4tel"});
    file.set_attr("/", "format", "test");
    file.set_attr("/model", "step", std::int64_t{-9});
    file.set_attr("/model", "step", std::int64_t{-10});
    file.set_attr("/model", "note", "short");
    file.set_attr("/model", "note", "longer than before");
    file.set_attr("/model/lstm/weight", "empty", "");
    file.close();
  }
  const File file = File::open(folder / "a.h5");
  Dims dims;
  EXPECT_EQ(file.read<float>("/model/lstm/weight", &dims), f);
  EXPECT_EQ(dims, (Dims{2, 3}));
  EXPECT_EQ(file.read<double>("/model/lstm/weight")[1], -0.0);  // converted
  EXPECT_EQ(file.read<double>("/optimizer/second")[0], 1e-300);
  EXPECT_TRUE(std::isnan(file.read<double>("/optimizer/second")[1]));
  EXPECT_EQ(file.read<std::int64_t>("/i", &dims), i);
  EXPECT_EQ(dims, (Dims{2, 1, 1}));
  EXPECT_EQ(file.read<std::uint64_t>("/u"), u);
  EXPECT_TRUE(file.read<float>("/empty", &dims).empty());
  EXPECT_EQ(dims, (Dims{0, 3}));
  EXPECT_EQ(file.read_scalar<std::uint64_t>("/scalar"), 42u);
  EXPECT_EQ(file.read_scalar<double>("/float"), 2.5);
  EXPECT_EQ(file.read_text("/text"), "h\xc3\xb4tel\nsecond line");
  EXPECT_EQ(file.read_text("/no_text"), "");
  EXPECT_EQ(file.read_lines("/lines"), (std::vector<std::string>{"a", "", "h\xc3\xb4tel"}));
  EXPECT_EQ(file.text_attr("/", "format"), "test");
  EXPECT_EQ(file.attr<std::int64_t>("/model", "step"), -10);
  EXPECT_EQ(file.text_attr("/model", "note"), "longer than before");
  EXPECT_EQ(file.text_attr("/model/lstm/weight", "empty"), "");
  EXPECT_TRUE(file.exists("/model/lstm"));
  EXPECT_TRUE(file.is_group("/model/lstm"));
  EXPECT_FALSE(file.is_group("/u"));
  EXPECT_FALSE(file.exists("/model/gru/weight"));
  EXPECT_FALSE(file.has_attr("/nowhere", "x"));
  EXPECT_EQ(file.list("/model"), std::vector<std::string>{"lstm"});
  EXPECT_EQ(file.datasets("/model"), std::vector<std::string>{"/model/lstm/weight"});
  EXPECT_EQ(file.datasets().size(), 10u);
}

TEST(Hdf5, ReadingSaysWhatIsWrong) {
  Folder folder;
  const std::string path = (folder / "a.h5").string();
  {
    File file = File::create(path);
    const float x[] = {1, 2, 3, 4};
    file.write("/x", {4}, x);
    file.write("/text", "abc");
    file.close();
  }
  const File file = File::open(path);
  const auto of = [&](auto f) { return message_of<FileError>(f); };
  EXPECT_EQ(of([&] { file.read<float>("/y/z"); }), "[" + path + "] dataset /y/z is missing");
  EXPECT_EQ(of([&] { file.read<std::int64_t>("/x"); }), "[" + path + "] dataset /x holds f32, expected i64");
  EXPECT_EQ(of([&] { file.read_scalar<float>("/x"); }), "[" + path + "] dataset /x is not one number");
  EXPECT_EQ(of([&] { file.read_text("/x"); }), "[" + path + "] dataset /x is not one readable text");
  EXPECT_EQ(of([&] { file.text_attr("/x", "units"); }), "[" + path + "] attribute units of /x is missing");
  expect_contains(of([&] { file.list("/nowhere"); }), "group /nowhere");
  EXPECT_EQ(of([&] { File::open(folder / "none.h5"); }),
            "[" + (folder / "none.h5").string() + "] cannot be opened: No such file or directory");
  EXPECT_EQ(of([&] { File::open(folder.path()); }), "[" + folder.path().string() + "] is not a file");
  std::ofstream(folder / "notes.txt") << "not HDF5 at all";
  EXPECT_EQ(of([&] { File::open(folder / "notes.txt"); }),
            "[" + (folder / "notes.txt").string() + "] is not an HDF5 file (15 bytes)");
}

TEST(Hdf5, ADamagedArrayIsNoticed) {
  Folder folder;
  const fs::path path = folder / "a.h5";
  {
    File file = File::create(path);
    const std::vector<float> x(1000, 1.25f);
    file.write("/w", {1000}, x.data());
    file.close();
  }
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const float pattern[] = {1.25f, 1.25f, 1.25f};
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(pattern), sizeof pattern));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 401] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  const File file = File::open(path);
  expect_contains(message_of<FileError>([&] { file.read<float>("/w"); }), "dataset /w");
}

TEST(Hdf5, NothingReachesTheFinalNameBeforeCommit) {
  Folder folder;
  const fs::path path = folder / "c.h5";
  const auto write = [&](float value, bool commit) {
    AtomicFile atomic(path);
    File file = File::create(atomic.part());
    file.write("/x", {1}, &value);
    file.flush_and_sync();
    file.close();
    if (commit) atomic.commit();
  };
  write(1, true);
  write(2, false);
  EXPECT_EQ(File::open(path).read<float>("/x")[0], 1);
  EXPECT_FALSE(fs::exists(folder / "c.h5.part"));
  write(3, true);
  EXPECT_EQ(File::open(path).read<float>("/x")[0], 3);
}

TEST(Hdf5, ADestroyedFileWritesNothingMore) {
  Folder folder;
  const float x = 1;
  {
    File file = File::create(folder / "a.h5");
    file.write("/x", {1}, &x);
    file.flush();
    file.write("/y", {1}, &x);
  }
  const File file = File::open(folder / "a.h5");
  EXPECT_EQ(file.read<float>("/x")[0], 1);
  EXPECT_FALSE(file.exists("/y"));
}

TEST(Hdf5, AFullDiskIsReportedAtFlushOrCloseAndDestroyingIsSafe) {
  const std::vector<float> large(400000, 1.0f);  // more than the driver holds back
  long total = 0;
  const auto write = [&](const fs::path& path) {
    AtomicFile atomic(path);
    File file = File::create(atomic.part());
    file.write("/small", {3}, large.data());
    file.flush();
    file.write("/large", {large.size()}, large.data());
    file.write("/text", "done");
    file.close();
    atomic.commit();
  };
  {
    Folder folder;
    fault().reset();
    write(folder / "c.h5");
    total = fault().writes;
  }
  ASSERT_GT(total, 5);
  for (long k = 0; k < total; ++k) {
    Folder folder;
    fault().reset();
    fault().fail_from = k;
    fault().error = ENOSPC;
    const std::string text = message_of<RuntimeFailure>([&] { write(folder / "c.h5"); });
    fault().reset();
    expect_contains(text, "c.h5.part");
    expect_contains(text, "No space left on device");
    EXPECT_TRUE(fs::is_empty(folder.path())) << k;
  }
}

TEST(Hdf5, TwoWritersOfOneFileAreRefused) {
  Folder folder;
  const File first = File::create(folder / "a.h5");
  expect_contains(message_of<RuntimeFailure>([&] { File::create(folder / "a.h5"); }),
                  "is being written by another process");
}

TEST(Hdf5, ARefusedWriterLeavesTheOthersPartAlone) {
  Folder folder;
  const File other = File::create(folder / "c.h5.part");
  {
    AtomicFile atomic(folder / "c.h5");
    EXPECT_THROW(File::create(atomic.part()), RuntimeFailure);
  }
  EXPECT_TRUE(fs::exists(folder / "c.h5.part"));
}

TEST(Hdf5, APartThatIsNotOursStays) {
  Folder folder;
  const fs::path path = folder / "c.h5", part = folder / "c.h5.part";
  std::ofstream(part) << "mine";
  const auto stays = [&] {
    std::ifstream in(part);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "mine");
  };
  const auto refused = [](const std::string& text) {
    expect_contains(text, "c.h5.part] is in the way");
    expect_contains(text, "give another --out");
  };
  refused(message_of<ArgumentError>([&] { AtomicFile(path, AtomicFile::Old::refused); }));
  stays();
  for (const bool force : {false, true}) refused(message_of<ArgumentError>([&] { expect_free(path, force); }));
  write_text_atomically(path, "the program's own file: what a kill left is taken over");
  EXPECT_FALSE(fs::exists(part));
  {
    const File other = File::create(part);
    const auto bytes = fs::file_size(part);
    expect_contains(message_of<RuntimeFailure>([&] { write_text_atomically(path, "x"); }),
                    "c.h5.part] is being written by another process");
    ASSERT_TRUE(fs::exists(part));
    EXPECT_EQ(fs::file_size(part), bytes);
  }
  write_text_atomically(path, "y");
  EXPECT_EQ(fs::file_size(path), 1u);
}

TEST(Hdf5, AnUnwritableFolderIsReported) {
  Folder folder;
  const std::string text = message_of<RuntimeFailure>([&] { File::create(folder / "no/such/folder.h5"); });
  EXPECT_EQ(text, "[" + (folder / "no/such/folder.h5").string() + "] cannot be written: No such file or directory");
}

TEST(Hdf5, NewerReadersNeedNothingNew) {
  // The versions that h5py, MATLAB and R of ten years ago read: superblock 1, no version-2 headers.
  Folder folder;
  {
    File file = File::create(folder / "a.h5");
    const float x = 1;
    file.write("/g/x", {1}, &x);
    file.close();
  }
  std::ifstream in(folder / "a.h5", std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(bytes.substr(1, 3), "HDF");
  EXPECT_EQ(bytes[8], 1);
  EXPECT_EQ(bytes.find("OHDR"), std::string::npos);
}

TEST(Hdf5, TextIsReplacedAtOnce) {
  Folder folder;
  write_text_atomically(folder / "run.json", "one");
  write_text_atomically(folder / "run.json", "two");
  std::ifstream in(folder / "run.json");
  std::string text;
  std::getline(in, text);
  EXPECT_EQ(text, "two");
  EXPECT_FALSE(fs::exists(folder / "run.json.part"));
  expect_contains(message_of<RuntimeFailure>([&] { write_text_atomically(folder / "a/b", "x"); }), "a/b.part");
}

}  // namespace
}  // namespace mneme::trace::testing
