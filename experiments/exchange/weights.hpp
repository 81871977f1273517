// Room: experiments. Weights: named float32 arrays for other programs, as one safetensors file or a folder of .npy.
//
//   safetensors   8 bytes, the header's length (little-endian); the header, a JSON object: name -> {dtype, shape,
//                 data_offsets [begin, end)}, and __metadata__, strings; the numbers of all arrays, row-major
//   npy           NAME.npy for each array, and index.json, {"metadata": {...}, "arrays": {name: shape}}
//
// Reading trusts nothing: sizes are checked before anything is allocated, every byte belongs to one array, every number
// is finite. Dtypes float32 and float64 (rounded to float32) are read; float32 is written. A folder without index.json
// is read too: its arrays are all its .npy files. Errors: FileError naming file, array and what is wrong;
// ArgumentError where the output exists; RuntimeFailure where the disk refuses.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::experiments {

/// How the metadata's `format` of what we wrote begins.
inline constexpr const char* kWeightsFormat = "mneme-weights";

struct NamedArray {
  std::string name;
  std::vector<std::size_t> dims;
  std::vector<float> values;
};

struct Weights {
  std::vector<NamedArray> arrays;  ///< names differ
  std::map<std::string, std::string> metadata;
};

/// A whole regular file. FileError where there is none.
std::string read_bytes(const std::filesystem::path& path);
/// "[129 400]"
std::string text_of(const std::vector<std::size_t>& dims);

/// `where` stands for the file in messages.
Weights parse_safetensors(std::string_view bytes, const std::string& where);
std::string safetensors_bytes(const Weights& weights);
NamedArray parse_npy(std::string_view bytes, const std::string& where);

/// A folder is read as npy, a file as safetensors.
Weights read_weights(const std::filesystem::path& path);

/// "safetensors", "npy"
const std::vector<std::string>& weight_formats();
/// Whole or not at all; never over something that is there, unless `force`: then over a file, or over a folder that
/// such an export wrote and that holds nothing else.
void write_weights(const std::filesystem::path& path, const std::string& format, const Weights& weights,
                   bool force = false);

}  // namespace mneme::experiments
