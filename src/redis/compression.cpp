#include "redis/compression.hpp"

#ifdef LEVEE_HAS_ZSTD

#include <zstd.h>

#include <memory>
#include <new>

namespace levee::redis::detail {
namespace {

constexpr std::uint8_t zstd = 1;
constexpr int level = 1;  // the fastest of zstd's own: a cache's values are written about as often as read

struct free_compressor {
    void operator()(ZSTD_CCtx* one) const noexcept { ZSTD_freeCCtx(one); }
};
struct free_decompressor {
    void operator()(ZSTD_DCtx* one) const noexcept { ZSTD_freeDCtx(one); }
};

// Making one costs more than what it does for small values.
ZSTD_CCtx* compressor() {
    thread_local const std::unique_ptr<ZSTD_CCtx, free_compressor> one(ZSTD_createCCtx());
    return one.get();
}
ZSTD_DCtx* decompressor() {
    thread_local const std::unique_ptr<ZSTD_DCtx, free_decompressor> one(ZSTD_createDCtx());
    return one.get();
}

}  // namespace

bool can_compress() noexcept {
    return true;
}

std::uint8_t compress(std::string_view from, std::string& to) {
    to.resize(ZSTD_compressBound(from.size()));
    ZSTD_CCtx* const with = compressor();
    if (with == nullptr) {
        throw std::bad_alloc();
    }
    const std::size_t size = ZSTD_compressCCtx(with, to.data(), to.size(), from.data(), from.size(), level);
    if (ZSTD_isError(size) != 0 || size >= from.size()) {
        return 0;
    }
    to.resize(size);
    return zstd;
}

bool can_decompress(std::uint8_t method) noexcept {
    return method == zstd;
}

bool decompress(std::uint8_t method, std::string_view from, std::size_t size, bytes& to) {
    if (method != zstd || ZSTD_getFrameContentSize(from.data(), from.size()) != size) {
        return false;
    }
    ZSTD_DCtx* const with = decompressor();
    if (with == nullptr) {
        throw std::bad_alloc();
    }
    to.resize(size);
    return ZSTD_decompressDCtx(with, to.data(), to.size(), from.data(), from.size()) == size;
}

}  // namespace levee::redis::detail

#else

namespace levee::redis::detail {

bool can_compress() noexcept {
    return false;
}

std::uint8_t compress(std::string_view /*from*/, std::string& /*to*/) {
    return 0;
}

bool can_decompress(std::uint8_t /*method*/) noexcept {
    return false;
}

bool decompress(std::uint8_t /*method*/, std::string_view /*from*/, std::size_t /*size*/, bytes& /*to*/) {
    return false;
}

}  // namespace levee::redis::detail

#endif
