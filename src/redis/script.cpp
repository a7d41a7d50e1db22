#include "levee/redis/script.hpp"

#include <openssl/evp.h>

#include <array>
#include <new>
#include <utility>

namespace levee::redis {
namespace {

std::string sha1_of(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
        throw std::bad_alloc();
    }
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
        constexpr const char* digits = "0123456789abcdef";
        hex += digits[digest.at(i) >> 4U];
        hex += digits[digest.at(i) & 15U];
    }
    return hex;
}

}  // namespace

script::script(std::string source) : source_(std::move(source)), sha1_(sha1_of(source_)) {}

}  // namespace levee::redis
